"""Sources of readings, one per module; each is found by entry point and knows no other."""
