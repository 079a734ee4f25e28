"""What a client that knows nothing of us is told when it asks for the link to the dashboard."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dask_hpc.engine.dashboard.watch import JobWatch


class PrivateDashboard:
    """Stands among a scheduler's services, where clients look for the dashboard's port.

    There is no port, and without an entry `Client.dashboard_link` fails, and with it what a
    notebook shows of a client. They put what they find into an address, which says what is true.
    """

    def __init__(self, jobs: JobWatch) -> None:
        self._jobs = jobs

    @property
    def port(self) -> str:
        """Where the link is to be had."""
        handle = f"HPCCluster.from_name('{self._jobs.name}')" if self._jobs.name else "HPCCluster"
        return f"private; see {handle}.dashboard_link"

    def stop(self) -> None:
        """There is nothing to stop."""
