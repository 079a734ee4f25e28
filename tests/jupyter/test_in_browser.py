"""What a person sees: a real browser opens the link while the job waits, and stays."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc._clock import SystemClock
from dask_hpc.cluster.directory import ClusterDirectory
from tests.integration.browser import browser
from tests.integration.places import place_at, wait_for
from tests.jupyter.guest import PATIENCE, ending, opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.browser import Page
    from tests.integration.places import Place

CELLS = (
    "from dask_hpc import HPCCluster\ncluster = HPCCluster.from_name()\ncluster",
    "client = cluster.get_client()\nclient.submit(sum, range(100)).result()",
)
RUN = '[data-command="notebook:run-cell-and-select-next"]'
IDLE = "document.querySelector('.jp-Notebook-ExecutionIndicator')?.dataset.status == 'idle'"
DIALOG = ".jp-Dialog .jp-mod-accept"
OUTPUT = "[...document.querySelectorAll('.jp-OutputArea-output')].map(e => e.innerText).join(' ')"
DASHBOARD = "document.querySelector('.jp-OutputArea-output a[href*=\"/proxy/\"]')?.href"
DRAWN = "window.Bokeh?.documents?.length > 0"  # what comes over its websocket
# Where a person who makes the documentation wants the pictures.
KEPT = os.environ.get("DASK_HPC_TEST_PICTURES")


@pytest.fixture
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    with place_at(request, "local") as found:
        yield found


def notebook() -> str:
    cells: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"cell{number}", "source": text, "metadata": {},
         "outputs": [], "execution_count": None}
        for number, text in enumerate(CELLS)
    ]  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3"}
    metadata = {"kernelspec": kernel}
    return json.dumps({"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5})


async def picture(page: Page, name: str) -> None:
    if KEPT:
        await SystemClock().sleep(3)
        await page.picture(Path(KEPT) / f"{name}.png")


@pytest.mark.bed("chromium")
@pytest.mark.timeout(400)
async def test_the_page_that_waits_becomes_jupyterlab_with_the_cluster_in_it(
    place: Place, tmp_path: Path
) -> None:
    (tmp_path / "rain.ipynb").write_text(notebook())
    everything = {"DASK_HPC__SCHEDULER_CORES": "16"}
    full = ("up", *place.small_options, "--name", "before", "--jobs", "0", "--detach")
    assert place.dask_hpc(*full, env=everything).returncode == 0
    words = ("up", *place.small_options, "--name", "rain", "--workers", "2", "--lab")
    with opened(place, *words, cwd=tmp_path) as (link, process):
        async with browser() as page:
            await page.go(link)
            await page.wait_for("document.title == 'rain · waiting'")
            await page.wait_for("document.body.innerText.includes('pending')")
            room = str(await page.value("location.href")).rpartition("/")[0]
            assert "token" not in await page.value("location.href")
            assert place.dask_hpc("down", "before").returncode == 0
            await page.wait_for("!!document.querySelector('.jp-LauncherCard')")
            await page.go(f"{room}/lab/tree/rain.ipynb")
            await in_notebook(page)
            await in_notice(page, ClusterDirectory(place.directory("rain")))
            await in_dashboard(page)
        assert place.dask_hpc("down", "rain").returncode == 0
        assert process.wait(PATIENCE) == 0
    wait_for(lambda: not place.left(), 10)


async def run_cell(page: Page, text: str) -> None:
    """Run the cell that begins with this text, and wait until it has a number."""
    first = json.dumps(text.partition("\n")[0])
    cell = f"[...document.querySelectorAll('.jp-Cell')].find(e => e.innerText.includes({first}))"
    state = f"{cell}?.querySelector('.jp-InputPrompt')?.innerText"
    deadline = SystemClock().monotonic() + PATIENCE
    while not re.fullmatch(r"\[\d+\]:", prompt := str(await page.value(state))):
        assert SystemClock().monotonic() < deadline, await page.text()
        # A message that there is no connection; then it has the focus.
        await page.value(f"document.querySelector('{DIALOG}')?.click()")
        if prompt == "[ ]:":  # also if it came too early, and nothing ran
            await page.value(f"{cell}.querySelector('.cm-content').focus()")
            await page.wait_for(f"{cell}.classList.contains('jp-mod-active') && {IDLE}")
            await page.click(RUN)
        await SystemClock().sleep(1)


async def in_notebook(page: Page, *, kept: str = "lab") -> None:
    """Run the cells, and see what they say; ``kept`` is the name of the picture."""
    for text in CELLS:
        await run_cell(page, text)
    await page.wait_for(f"{OUTPUT}.includes('4950')")
    await page.wait_for(f"{OUTPUT}.includes('rain')")
    await picture(page, kept)


async def in_notice(page: Page, directory: ClusterDirectory) -> None:
    """See JupyterLab say that its job ends."""
    with ending(directory, left=302):
        said = "document.querySelector('.Toastify__toast')?.innerText.includes('Ends in 5m')"
        await page.wait_for(said, what="a notification")
        await picture(page, "lab-notice")


async def in_dashboard(page: Page, *, kept: str = "lab-jobs") -> None:
    """Follow the link of the card: the dashboard is seen through Jupyter, with its websocket."""
    page = await page.tab(str(await page.wait_for(DASHBOARD)))
    await page.wait_for("location.pathname.endsWith('/status')")
    address = str(await page.value("location.href"))
    assert "/proxy/" in address
    await page.go(address.rpartition("/")[0] + "/jobs")
    await page.wait_for(f"location.pathname.endsWith('/jobs') && {DRAWN}")
    await picture(page, kept)
