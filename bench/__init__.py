"""Rowel beside what one would pick instead: the same work in turn, checked, as ratios. `make bench` runs it."""
