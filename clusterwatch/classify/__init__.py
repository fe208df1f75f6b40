"""Incident to diagnosis: weigh the evidence, say how sure."""
