"""What stands on the other side: the confined process and the helpers that untrusted code runs with.

Nothing in here imports the rest of Rowel, since a confined process sees the standard library and this package only.
"""
