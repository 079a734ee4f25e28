"""The contract of a batch system, on every batch system that there is here."""
