"""Trace files: what happens to a cluster whatever is done about it, written down so that others can replay it."""
