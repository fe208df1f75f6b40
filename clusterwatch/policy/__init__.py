"""Diagnosis and job to decision, within brakes."""
