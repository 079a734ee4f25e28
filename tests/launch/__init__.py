"""Programs on every node of a job."""
