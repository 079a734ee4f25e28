"""Starts tasks on the nodes of an allocation."""
