"""Sites with real jobs."""

from tests.integration.places import place

__all__ = ["place"]
