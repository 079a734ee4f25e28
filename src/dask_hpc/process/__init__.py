"""Commands as values, and what runs them: here, over ssh, in tests."""
