"""Batch systems from outside of this project, as somebody else would add one."""
