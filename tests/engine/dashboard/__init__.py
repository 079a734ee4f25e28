"""The dashboard: who sees it, and what it shows of jobs."""
