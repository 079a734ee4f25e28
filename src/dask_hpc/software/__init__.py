"""Software environments: what a command runs in."""
