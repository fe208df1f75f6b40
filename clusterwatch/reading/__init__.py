"""Bytes to lines, timestamps, ranks and checkpoints; no input or output of its own."""
