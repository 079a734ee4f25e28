"""A server that minds its worker by itself, as ``dask_cuda.CUDAWorker``, in place of a nanny."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import dask

from dask_hpc.boot.trunk import ignore_signals
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from distributed import Security, Status

# Every user of the node could read what the workers served.
_QUIET: Mapping[str, list[str]] = {"distributed.worker.http.routes": []}


def dask_setup(worker: object) -> None:  # noqa: ARG001 - distributed calls it so
    """Make a worker deaf to what batch systems send to all, as this module is preloaded in it."""
    ignore_signals()


class Guest:
    """One worker of somebody else's server; to the supervisor, what `ForkNanny` is.

    The server is made with dask-cuda's words, and has ``nannies``, of which there must be one.
    """

    gave_up = False

    def __init__(
        self,
        kind: Any,
        scheduler: str,
        *,
        name: str,
        env: Mapping[str, str],
        resources: Mapping[str, float],
        security: Security,
        **options: Any,
    ) -> None:
        self.name = name
        self.connection_args = security.get_connection_args("worker")
        offers = ",".join(f"{key}={value}" for key, value in resources.items())
        dask.config.set(_QUIET)  # for good: nannies start workers again
        with _variables(env):  # it looks at the GPUs that it may use
            self._server = kind(
                scheduler,
                name=name,
                resources=offers or None,
                security=security,
                dashboard=False,
                preload=[__name__],
                **options,
            )
        if (count := len(self._server.nannies)) != 1:
            raise ConfigError(
                f"worker class {kind.__name__} makes {count} workers for one",
                hint="take as many processes as GPUs",
            )

    def __await__(self) -> Generator[Any, None, Any]:
        return self._server.__await__()

    @property
    def status(self) -> Status:
        """How it is."""
        status: Status = self._server.nannies[0].status
        return status

    @status.setter
    def status(self, status: Status) -> None:
        self._server.nannies[0].status = status

    @property
    def worker_address(self) -> str:
        """Where its worker listens, as long as there is one."""
        address: str = self._server.nannies[0].worker_address
        return address

    async def finished(self) -> None:
        """Wait for its end."""
        await self._server.finished()

    async def close(self, *, timeout: float) -> None:
        """End it with its worker."""
        await self._server.close(timeout=timeout)


@contextmanager
def _variables(env: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in env}
    os.environ.update(env)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value
