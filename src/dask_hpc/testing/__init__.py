"""Stand-ins for time, commands and batch systems, and the contract of a batch system as checks.

For our tests, and for those of everybody who adds a batch system. Nothing else imports it.
"""

from dask_hpc.testing.clock import FakeClock
from dask_hpc.testing.recording import Recording, read_recording
from dask_hpc.testing.runner import ScriptedRunner
from dask_hpc.testing.simulation import FakeJob
from dask_hpc.testing.system import FakeSystem

__all__ = [
    "FakeClock",
    "FakeJob",
    "FakeSystem",
    "Recording",
    "ScriptedRunner",
    "read_recording",
]
