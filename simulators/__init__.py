"""Readings without hardware."""
