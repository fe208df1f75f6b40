"""Readings to events; rules are data."""
