"""Health, metrics and the page, on loopback."""
