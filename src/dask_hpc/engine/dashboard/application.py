"""The pages of a scheduler. Those that bokeh draws are loaded when the first of them is asked for.

Loading them takes half a second, and minutes on a slow file system; most schedulers are never
looked at. Without bokeh there is a page in plain HTML in their place.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
from functools import partial
from typing import TYPE_CHECKING, Any

from distributed.http.routing import RoutingApplication
from tornado.web import Application, ErrorHandler, RedirectHandler, RequestHandler

from dask_hpc._clock import SystemClock
from dask_hpc.engine.dashboard.plain_page import plain_page

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from distributed import Scheduler

    from dask_hpc.engine.dashboard.watch import JobWatch

logger = logging.getLogger(__name__)

# Asks which of bokeh's pages exist; it would find none before they are loaded.
_LISTING = "/individual-plots.json"

# Leads to the pages of workers, of which ours have none. Where jupyter-server-proxy is installed,
# it would load all of Jupyter's server.
_USELESS = "distributed.http.proxy"


def own_routes(modules: Sequence[str]) -> list[str]:
    """Return those of distributed's modules of pages that a scheduler of ours serves."""
    return [module for module in modules if module != _USELESS]


class DashboardApplication(RoutingApplication):
    """Dask's pages, and a page of the jobs.

    Parameters
    ----------
    routes
        What distributed serves without bokeh.
    scheduler, jobs
        What the pages show.
    """

    def __init__(self, routes: Sequence[Any], *, scheduler: Scheduler, jobs: JobWatch) -> None:
        super().__init__(routes)
        self._scheduler = scheduler
        self._jobs = jobs
        self._opening: asyncio.Future[None] | None = None

    def find_handler(self, request: Any, **options: Any) -> Any:
        """Return what answers a request: for one of bokeh's pages, first of all what loads them."""
        handler = super().find_handler(request, **options)
        is_unknown = handler is None or issubclass(handler.handler_class, ErrorHandler)
        if self._is_open or not (is_unknown or request.path == _LISTING):
            return handler
        return self.get_handler_delegate(request, _Opening, {"opening": self.open})

    @property
    def _is_open(self) -> bool:
        return self._opening is not None and self._opening.done()

    async def open(self) -> None:
        """Load the pages; whoever comes meanwhile waits with us."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        await asyncio.shield(self._opening)

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        name = "dask_hpc.engine.dashboard.bokeh_pages"
        try:
            # In a thread: the scheduler has other things to do.
            pages = await loop.run_in_executor(None, importlib.import_module, name)
            self.add_application(pages.application(self._scheduler, self._jobs))
        except ImportError as error:
            logger.info("the dashboard is shown without bokeh: %s", error)
            self.add_application(_plain(self._jobs))
        except Exception:
            logger.exception("the pages of bokeh cannot be shown")
            self.add_application(_plain(self._jobs))


def _plain(jobs: JobWatch) -> Application:
    page = {"write": partial(_write_plain, jobs)}
    return Application(
        [(r"/(?:status|jobs|individual-jobs)", _Page, page), (r"/", RedirectHandler, _TO_JOBS)]
    )


_TO_JOBS = {"url": "jobs", "permanent": False}


def _write_plain(jobs: JobWatch) -> str:
    return plain_page(jobs, now=SystemClock().time())


class _Page(RequestHandler):
    def initialize(self, write: Callable[[], str]) -> None:
        self._write_page = write

    def get(self) -> None:
        self.write(self._write_page())


class _Opening(RequestHandler):
    """Loads the pages, then sends the browser to the same place again."""

    def initialize(self, opening: Callable[[], Awaitable[None]]) -> None:
        self._open = opening

    async def get(self, *_: str) -> None:
        await self._open()
        # Relative, for a proxy may show all of this below a path of its own.
        self.redirect(self.request.uri.rpartition("/")[2] or "./")

    head = get
