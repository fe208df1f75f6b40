"""Attempts and progress to where the time went."""
