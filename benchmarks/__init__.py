"""Measurements beside others in one run: what counts is the ratio, for machines differ."""
