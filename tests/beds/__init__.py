"""Real systems for tests: scripts that start them, and a typed handle for each."""
