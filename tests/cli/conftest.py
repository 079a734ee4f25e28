"""Settings that are not those of whoever runs the tests, and sites with real jobs."""

from tests.integration.places import local_place, place, standing
from tests.sites.conftest import WriteProfile, bare_environment, users

__all__ = ["WriteProfile", "bare_environment", "local_place", "place", "standing", "users"]
