"""Classes of workers that the tests name: a worker, and one that starts workers by itself."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from distributed import Nanny, Worker

if TYPE_CHECKING:
    from collections.abc import Generator


class Own(Worker):
    """A worker that has something of its own."""

    async def start_unsafe(self) -> Any:
        """Start, with a mark in the environment of its tasks."""
        os.environ["OWN_WORKER"] = str(self.name)
        return await super().start_unsafe()


class Minding:
    """Starts a nanny for each GPU that it sees, with the words and the ways of dask-cuda's."""

    def __init__(
        self,
        scheduler: str,
        *,
        name: str,
        resources: str | None,
        dashboard: bool,
        startup_information: Any,
        **options: Any,
    ) -> None:
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "none").split(",")
        self.nannies = [
            Nanny(
                scheduler,
                name=name if len(gpus) == 1 else f"{name}-{number}",
                resources={
                    word.split("=")[0]: 1.0 for word in (resources or "").split(",") if word
                },
                env={"CUDA_VISIBLE_DEVICES": gpu, "OWN_WORKER": f"{name} {resources} {dashboard}"},
                startup_information=startup_information,
                **options,
            )
            for number, gpu in enumerate(gpus)
        ]

    def __await__(self) -> Generator[Any, None, None]:
        return self._wait().__await__()

    async def _wait(self) -> None:
        await asyncio.gather(*self.nannies)

    async def finished(self) -> None:
        """Wait for the end of all."""
        await asyncio.gather(*(nanny.finished() for nanny in self.nannies))

    async def close(self, timeout: float = 2) -> None:
        """End all."""
        await asyncio.gather(*(nanny.close(timeout=timeout) for nanny in self.nannies))
