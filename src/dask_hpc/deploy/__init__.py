"""What the user holds: `HPCCluster`, and the start and end of a cluster behind it."""
