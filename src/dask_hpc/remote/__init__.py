"""The ends of a cluster that are neither in its jobs nor in the user's program."""
