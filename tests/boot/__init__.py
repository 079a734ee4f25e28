"""The programs that jobs run, against a real scheduler with encryption."""
