"""Builds everything from the settings: the only place that wires, above the loops."""
