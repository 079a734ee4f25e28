"""Sites with real jobs."""

from tests.integration.places import local_place, place

__all__ = ["local_place", "place"]
