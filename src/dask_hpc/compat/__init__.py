"""Other tools' names: what was written for them works here."""
