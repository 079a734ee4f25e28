"""Starts a program on every node of a job, once each, with what the batch system has for that."""
