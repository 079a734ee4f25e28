"""Dask's pages that bokeh draws, with one of the jobs among them. Importing this imports bokeh."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed.dashboard.core import BokehApplication
from distributed.dashboard.scheduler import applications, template_variables
from tornado.ioloop import IOLoop
from tornado.web import Application, RedirectHandler

from dask_hpc.engine.dashboard.jobs_page import fill

if TYPE_CHECKING:
    from distributed import Scheduler

    from dask_hpc.engine.dashboard.watch import JobWatch


def application(scheduler: Scheduler, jobs: JobWatch) -> Application:
    """Return the pages of a scheduler, ready to answer."""
    pages = {
        **applications,
        # In the words of Dask's extension of JupyterLab, which lists what is called individual.
        "/individual-jobs": lambda _scheduler, _extra, doc: fill(doc, jobs),
        "/jobs": lambda _scheduler, extra, doc: fill(doc, jobs, among=extra),
    }
    found = BokehApplication(pages, scheduler, prefix="/", template_variables=_words(scheduler))
    found.initialize(IOLoop.current())
    # Relative, for a proxy may show all of this below a path of its own.
    found.add_handlers(r".*", [(r"/", RedirectHandler, {"url": "status", "permanent": False})])
    found.start()
    return found


def _words(scheduler: Scheduler) -> dict[str, Any]:
    words = template_variables(scheduler)
    first, *others = words["pages"]
    plots = [*words["plots"], {"url": "individual-jobs", "name": "Jobs"}]
    return {
        **words,
        "pages": [first, "jobs", *others],
        "plots": sorted(plots, key=lambda plot: str(plot["name"])),
    }
