"""Tests of the embedded batch system."""
