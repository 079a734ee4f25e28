"""Make the pictures of docs/images: a lively cluster on the local queue, seen with a real browser.

Needs a Chromium, and in the Python that runs it, besides this package: playwright, jupyterlab,
dask-labextension, ipywidgets and bokeh. Takes about three minutes; ``jobs`` or ``jupyter`` makes
some of them only. Look at each picture afterwards.

Those of ``dask-hpc up --lab`` are made by the test that looks at them:
``DASK_HPC_TEST_PICTURES=docs/images pytest tests/jupyter/test_in_browser.py``, and
``test_across_hosts.py`` for a laptop. ``lab-waiting`` is of a Slurm whose queue is full, and made
by hand.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from playwright.sync_api import Page, sync_playwright

from dask_hpc._clock import until_now

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

IMAGES = Path(__file__).parent / "images"
CHROMIUM = shutil.which("chromium") or "chromium"
QUIET = ("--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking",
         "--disable-component-update", "--disable-sync")  # fmt: skip
SMALL = {"site": "local", "cores": 4, "processes": 2, "memory": "1GB", "walltime": "20m"}

CELL = """\
cluster = HPCCluster("local", "rain", cores=4, processes=2, memory="1GB", walltime="20m")
cluster.scale(jobs=6)
cluster.wait_for_workers(8)"""
NOTEBOOK = ("from dask_hpc import HPCCluster", CELL, "cluster")


def main(which: Collection[str]) -> None:
    """Make the pictures of the page of the jobs, and those in Jupyter."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="dh", dir="/tmp") as home:
        os.environ |= {
            "DASK_HPC_HOME": home,
            "DASK_HPC__LOCAL__CORES": "18",
            "DASK_HPC__LOCAL__MEMORY": "64GB",
        }
        if "jobs" in which:
            with browser() as page:
                jobs_page(page, Path(home))
        if "jupyter" not in which:
            return
        with jupyter(Path(home)) as address, browser() as page:
            notebook(page, address)
            laboratory(page)


@contextmanager
def browser() -> Iterator[Page]:
    """Give a page of a browser."""
    with sync_playwright() as kit:
        chromium = kit.chromium.launch(executable_path=CHROMIUM, args=list(QUIET))
        page = chromium.new_page(viewport={"width": 1300, "height": 760})
        page.set_default_timeout(180_000)
        yield page
        chromium.close()


def rest(seconds: float) -> None:
    """Let a cluster live for a while."""
    until_now(lambda: False, seconds, every=0.5)


def jobs_page(page: Page, home: Path) -> None:
    """Show jobs that wait, start, work, drain, end and fail."""
    from distributed import Client

    from dask_hpc import HPCCluster

    trap = home / "trap"
    prologue = f'if rm "{trap}" 2>/dev/null; then echo "disk quota exceeded" >&2; exit 7; fi'
    with (
        HPCCluster(name="climate", prologue=prologue, **SMALL) as cluster,
        Client(cluster) as client,
    ):
        cluster.scale(jobs=2)
        cluster.wait_for_workers(4)
        rest(8)
        trap.touch()
        cluster.scale(jobs=4)
        cluster.wait_for_workers(8)
        rest(6)
        cluster.scale(jobs=7)
        rest(12)
        work = client.map(time.sleep, [20.0] * 8, pure=False)
        rest(2)
        cluster.scale(jobs=3)
        rest(5)
        cluster.scale(jobs=6)
        rest(4)
        page.goto(cluster.dashboard_link)
        page.wait_for_selector("canvas")
        page.goto(page.url.replace("status", "jobs"))
        page.wait_for_selector("canvas")
        page.wait_for_timeout(4000)
        page.screenshot(path=IMAGES / "jobs-page.png")
        del work


@contextmanager
def jupyter(home: Path) -> Iterator[str]:
    """Run JupyterLab with Dask's extension, whose clusters are ours; give its address."""
    folder = home / "notebooks"
    folder.mkdir()
    (folder / "rain.ipynb").write_text(json.dumps(document()))
    settings = home / "jupyter/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    token, port = secrets.token_hex(16), 18899
    environ = {
        **os.environ,
        "JUPYTER_TOKEN": token,
        "JUPYTER_CONFIG_DIR": str(home / "jupyter"),
        "JUPYTER_DATA_DIR": str(home / "jupyter-data"),
        "JUPYTER_RUNTIME_DIR": str(home / "jupyter-run"),
        "DASK_LABEXTENSION__FACTORY__MODULE": "dask_hpc",
        "DASK_LABEXTENSION__FACTORY__CLASS": "HPCCluster",
        "DASK_LABEXTENSION__FACTORY__KWARGS": json.dumps(SMALL | {"cores": 1, "processes": 1}),
        "DASK_LABEXTENSION__DEFAULT__WORKERS": "3",
    }
    argv = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={port}",
            f"--ServerApp.root_dir={folder}"]  # fmt: skip
    log = home / "jupyter.log"
    with log.open("w") as stream, subprocess.Popen(argv, env=environ, stderr=stream) as server:
        try:
            if not until_now(lambda: "is running at" in log.read_text(), 60):
                raise RuntimeError(log.read_text())
            yield f"http://localhost:{port}/lab?token={token}"
        finally:
            server.terminate()


def document() -> dict[str, Any]:
    """Return a notebook."""
    cells = [
        {"cell_type": "code", "id": f"cell{number}", "source": text, "metadata": {},
         "outputs": [], "execution_count": None}
        for number, text in enumerate(NOTEBOOK)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3"}
    return {"cells": cells, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def notebook(page: Page, address: str) -> None:
    """Show the card and the controls in a notebook."""
    page.goto(address)
    page.wait_for_selector("#jp-main-dock-panel")
    page.goto(address.replace("/lab?", "/lab/tree/rain.ipynb?"))
    page.wait_for_selector(".jp-Notebook")
    page.wait_for_timeout(3000)
    page.keyboard.press("Control+B")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_selector("button:has-text('Adapt')")
    page.wait_for_timeout(6000)
    page.screenshot(path=IMAGES / "notebook.png")


def laboratory(page: Page) -> None:
    """Show Dask's extension with a cluster of ours, and pages of the dashboard inside."""
    # Room for the jobs of the next one.
    page.get_by_role("spinbutton").first.fill("2")
    page.get_by_role("button", name="Scale", exact=True).click()
    page.get_by_role("tab", name="Dask").click()
    page.get_by_title("Start New Dask Cluster").click()
    page.wait_for_timeout(12_000)
    page.get_by_text("HPCCluster 1").click()
    page.get_by_role("button", name="Jobs", exact=True).click()
    page.frame_locator("iframe").last.locator("canvas").first.wait_for()
    page.wait_for_timeout(4000)
    page.screenshot(path=IMAGES / "jupyterlab.png")


if __name__ == "__main__":
    main(sys.argv[1:] or ("jobs", "jupyter"))
