"""The card of a cluster that keeps itself up to date, with controls. Needs ipywidgets."""

from __future__ import annotations

import asyncio
from html import escape
from typing import TYPE_CHECKING, Any

from distributed.core import Status
from tornado.ioloop import PeriodicCallback

from dask_hpc.deploy.card import card_body, jobs_table
from dask_hpc.errors import HPCError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dask_hpc.deploy.face import ClusterFace

_LOOK = 2000.0  # milliseconds


class ClusterWidget:
    """Card and controls of a cluster; ``root`` is what a notebook displays.

    Raises
    ------
    ImportError
        Without ipywidgets.
    """

    def __init__(self, cluster: Any, face: ClusterFace) -> None:
        import ipywidgets

        self._cluster = cluster
        self._face = face
        self._kit = ipywidgets
        face.ask_now()
        self._card, self._jobs = ipywidgets.HTML(), ipywidgets.HTML()
        self._said = ipywidgets.HTML("")
        jobs = ipywidgets.Accordion([self._jobs], titles=("jobs",), layout={"max_width": "60em"})
        self._draw()
        self.root = ipywidgets.VBox([self._card, self._controls(), self._said, jobs])
        cluster.loop.add_callback(self._follow)

    def _controls(self) -> Any:
        kit = self._kit
        names = list(self._cluster.spec.pool_names)
        pool = kit.Dropdown(options=names, description="pool", layout=_width("180px"))
        report = self._face.report
        jobs = self._number("jobs", value=report.wanted if report else 0)
        low, high = self._number("at least"), self._number("at most", value=10)
        scale = self._button("Scale", lambda: self._scale(jobs.value, pool=pool.value))
        adapt = self._button("Adapt", lambda: self._adapt(low.value, high.value, pool=pool.value))
        rows = [
            *([kit.HBox([pool])] if len(names) > 1 else []),
            kit.HBox([jobs, scale]),
            kit.HBox([low, high, adapt]),
        ]
        return kit.VBox(rows)

    def _number(self, words: str, *, value: int = 0) -> Any:
        return self._kit.BoundedIntText(
            value=value, min=0, max=100_000, description=words, layout=_width("180px")
        )

    def _button(self, words: str, act: Callable[[], Any]) -> Any:
        button = self._kit.Button(description=words, layout=_width("100px"))
        button.on_click(lambda _: self._try(act))
        return button

    def _scale(self, jobs: int, *, pool: str) -> Any:
        return self._cluster.scale(jobs=jobs, pool=pool)

    def _adapt(self, low: int, high: int, *, pool: str) -> Any:
        self._cluster.adapt(minimum_jobs=low, maximum_jobs=high, pool=pool)

    def _try(self, act: Callable[[], Any]) -> None:
        self._said.value = ""
        try:
            begun = act()
        except HPCError as error:
            self._say(error)
        else:
            if isinstance(begun, asyncio.Future):
                begun.add_done_callback(self._say_of)
            self._cluster.loop.add_callback(self._update)

    def _say_of(self, done: asyncio.Future[Any]) -> None:
        if not done.cancelled() and isinstance(error := done.exception(), HPCError):
            self._say(error)

    def _say(self, error: HPCError) -> None:
        hint = f"<br>{escape(error.hint)}" if error.hint else ""
        self._said.value = f'<div style="color: #D55E00">{escape(str(error))}{hint}</div>'

    def _follow(self) -> None:
        # distributed stops what stands in this table when the cluster is closed.
        follower = PeriodicCallback(self._update, _LOOK)
        self._cluster.periodic_callbacks["cluster-repr"] = follower
        follower.start()

    async def _update(self) -> None:
        if self._cluster.status == Status.running:
            await self._face.look()
        self._draw()

    def _draw(self) -> None:
        facts = self._face.facts()
        jobs = facts.report.jobs if facts.report else ()
        # An equal value is not sent. The list is a widget of its own: what is unfolded stays so.
        self._card.value = card_body(facts)
        self._jobs.value = jobs_table(jobs, now=facts.now)


def _width(words: str) -> dict[str, str]:
    return {"width": words}
