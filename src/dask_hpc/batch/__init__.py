"""Batch systems: what to ask, how to read the answer, and who asks."""
