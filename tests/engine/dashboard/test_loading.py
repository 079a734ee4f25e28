"""What a scheduler does not load before somebody looks at its dashboard."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dask_hpc.engine.dashboard.application import own_routes


def test_pages_of_workers_which_have_none_are_not_served() -> None:
    routes = ["distributed.http.scheduler.info", "distributed.http.proxy", "mine"]
    assert own_routes(routes) == ["distributed.http.scheduler.info", "mine"]


@pytest.mark.slow
def test_a_scheduler_starts_without_bokeh() -> None:
    code = (
        "import sys, asyncio, pathlib, tempfile\n"
        "from dask_hpc.engine.scheduler import HPCScheduler\n"
        "async def main():\n"
        "    path = pathlib.Path(tempfile.mkdtemp()) / 's'\n"
        "    async with HPCScheduler(dashboard_socket=path, host='127.0.0.1'): pass\n"
        "asyncio.run(main())\n"
        "print('bokeh' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
