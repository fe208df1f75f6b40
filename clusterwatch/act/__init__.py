"""Carry out one step of a plan."""
