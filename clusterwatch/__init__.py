"""What stopped the training job, which part is to blame, how sure, and what was done about it."""

__version__ = "0.1.0"
