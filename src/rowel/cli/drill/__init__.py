"""`rowel drill`: kills a Rowel at work, again and again, and looks whether it kept its promises."""
