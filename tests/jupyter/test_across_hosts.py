"""JupyterLab from a laptop, over a jump host and a login node with two factors, on a node.

All of them are hosts of their own: other networks, processes, names and files below /tmp.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dask_hpc._clock import SystemClock, until_now
from dask_hpc.cluster.directory import ClusterDirectory
from tests.beds.beds import USER
from tests.integration.browser import browser
from tests.integration.places import wait_for
from tests.jupyter.guest import PATIENCE, Guest
from tests.jupyter.test_from_laptop import eventually
from tests.jupyter.test_in_browser import (
    OUTPUT,
    in_dashboard,
    in_notebook,
    notebook,
    run_cell,
)
from tests.jupyter.test_lab import COMPUTE
from tests.remote.computers import SITE, cluster_at, computer_at, cut, network_of
from tests.remote.outsider import Hunt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.beds.beds import SlurmBed
    from tests.integration.browser import Page
    from tests.remote.computers import Cluster, Computer

pytestmark = [pytest.mark.bed("slurm_net", "sshd"), pytest.mark.timeout(500)]

SMALL = ("--cores=1", "--memory=500MB", "--walltime=20m", "--adapt", "0:4")
IMPATIENT = ("ServerAliveInterval 3", "ServerAliveCountMax 4")  # or ssh needs a minute
SQUARES = "import time; sum(client.gather(client.map(lambda n: time.sleep(2) or n**2, range(24))))"


@pytest.fixture
def cluster(slurm_net: SlurmBed) -> Iterator[Cluster]:
    with cluster_at(slurm_net) as found:
        yield found


@pytest.fixture
def laptop(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Computer]:
    reached, *config = getattr(request, "param", ("cluster", *IMPATIENT))
    far = computer_at("laptop", cluster, reached=reached, config=config)
    with far as found, network_of("laptop"):
        yield found


async def seen_meanwhile(page: Page, condition: Callable[[], bool], what: str) -> None:
    """Wait for something, while a person looks at a page."""
    clock = SystemClock()
    deadline = clock.monotonic() + PATIENCE
    while not condition():
        assert clock.monotonic() < deadline, (what, await page.text())
        await clock.sleep(0.3)


@pytest.mark.bed("chromium")
async def test_a_tab_works_on_after_one_login_and_over_lost_connections(
    cluster: Cluster, laptop: Computer
) -> None:
    before = cluster.traces()
    (cluster.work / "rain.ipynb").write_text(notebook())
    shutil.chown(cluster.work / "rain.ipynb", USER)
    others = cluster.bed.submit("--nodes=4", "--exclusive", script="sleep 1000")
    with laptop.opened("up", SITE, "--lab", "--name", "rain", *SMALL) as (link, process):
        async with browser(run=laptop.argv, parent=cluster.bed.shared) as page:
            await page.go(link)
            await page.wait_for("document.title == 'rain · waiting'")
            await page.wait_for("document.body.innerText.includes('pending')")
            room = str(await page.value("location.href")).rpartition("/")[0]
            cluster.bed.cancel(others)
            await page.wait_for("!!document.querySelector('.jp-LauncherCard')")
            await page.go(f"{room}/lab/tree/rain.ipynb")
            await in_notebook(page, kept="lab-laptop")
            await evaluate(page, SQUARES, shows="4324")
            await in_dashboard(page, kept="lab-laptop-jobs")
            await page.call("Page.bringToFront")
            assert laptop.prompts == 2  # the password, and the code
            await evaluate(page, "precious = 12347; print(precious + 1)", shows="12348")
            await connection_cut(page, cluster.bed, laptop)
            await evaluate(page, "print(precious * 3)", shows="37041")
            laptop.kill("ssh ", "relay")
            await evaluate(page, "print(precious * 5)", shows="61735")
            assert laptop.prompts == 4
        done = laptop.dask_hpc("down", "rain")
        assert (done.returncode, done.stdout) == (0, "rain is gone\n"), done.stderr
        assert process.wait(PATIENCE) == 0
    nothing_is_left(cluster, before, but=[laptop])
    assert [*(laptop.here / "run" / "dask-hpc").iterdir()] == []
    assert [*(laptop.here / "state" / "far").iterdir()] == []


async def evaluate(page: Page, text: str, *, shows: str) -> None:
    """Run a new cell in the notebook that is open, as soon as its kernel is there."""
    empty = "[...document.querySelectorAll('.jp-Cell')].at(-1).querySelector('.cm-content')"
    await page.wait_for(f"{empty}.focus() || !!{empty}.closest('.jp-mod-active')")
    await page.call("Input.insertText", text=text)
    await run_cell(page, text)
    await page.wait_for(f"{OUTPUT}.includes('{shows}')")


async def connection_cut(page: Page, bed: SlurmBed, laptop: Computer) -> None:
    """Let nothing through for so long that ssh gives up; then log in again, as one is told to."""
    with cut(bed, "jump", interface="wan0"):
        await seen_meanwhile(page, lambda: "the connection is lost" in laptop.said, "the loss")
    await seen_meanwhile(page, lambda: f"dask-hpc ls {SITE}" in laptop.said, "a word on the login")
    assert laptop.prompts == 2
    done = laptop.dask_hpc("ls", SITE)
    assert (done.returncode, "rain" in done.stdout) == (0, True), done.stderr
    assert laptop.prompts == 4


@pytest.mark.parametrize("laptop", [("cluster-key", *IMPATIENT)], indirect=True)
async def test_it_is_one_users_alone_and_found_again_and_ended_from_another_computer(
    cluster: Cluster, laptop: Computer
) -> None:
    for home in (cluster.place, laptop.here):
        home.chmod(0o755)  # as many homes are
    before = cluster.traces()
    with laptop.opened("up", SITE, "--lab", "--name", "rain", *SMALL) as (link, _):
        guest = Guest(link)
        assert (await guest.enter()).code == 200
        assert (await Guest(link).enter()).code == 403
        kernel = await guest.kernel()
        assert await kernel.run(COMPUTE) == "rain 4950"
        await kernel.run("precious = 42")
        nobody_else_has_anything(cluster, laptop, guest)
        with cut(cluster.bed, "jump", interface="wan0"):
            await asyncio.to_thread(wait_for, lambda: "connection is lost" in laptop.said, PATIENCE)
        assert await eventually(partial(knows, guest, kernel.number))
        again = await guest.rejoin(kernel.number)
        assert await again.run("print(precious, end='')") == "42"
        laptop.kill()
    token = ClusterDirectory(cluster.clusters / "rain").session_token.read_text()
    kept = [path for path in files_in(laptop.here) if path.is_file()]
    assert [path for path in kept if token in path.read_text("latin-1")] == []
    with computer_at("desk", cluster, reached="cluster-key") as desk:
        done = desk.dask_hpc("down", f"rain@{SITE}")
        assert (done.returncode, done.stdout) == (0, "rain is gone\n"), done.stderr
        nothing_is_left(cluster, before, but=[laptop, desk])
        assert files_in(desk.here / "run") == files_in(desk.here / "state") == []
    # What was killed learns of it when it is asked.
    assert "there is no cluster named 'rain'" in laptop.dask_hpc("down", "rain").stderr
    assert files_in(laptop.here / "run") == files_in(laptop.here / "state") == []


@pytest.mark.soak
@pytest.mark.parametrize("laptop", [("cluster-key",)], indirect=True)
async def test_a_minute_without_network_is_got_over(cluster: Cluster, laptop: Computer) -> None:
    with laptop.opened("up", SITE, "--lab", "--name", "rain", *SMALL) as (link, process):
        guest = Guest(link)
        await guest.enter()
        kernel = await guest.kernel()
        await kernel.run("precious = 42")
        with cut(cluster.bed, "jump", interface="wan0"):
            await SystemClock().sleep(60)
        assert await eventually(partial(knows, guest, kernel.number))
        again = await guest.rejoin(kernel.number)
        assert await again.run("print(precious, end='')") == "42"
        assert laptop.dask_hpc("down", "rain").returncode == 0
        assert process.wait(PATIENCE) == 0


def nobody_else_has_anything(cluster: Cluster, laptop: Computer, guest: Guest) -> None:
    """Look for what is the user's own, on every host that has a part in it, as somebody else."""
    directory = ClusterDirectory(cluster.clusters / "rain")
    session = json.loads(directory.session.read_text())
    node, room = session["node"], Path(session["socket"]).parent
    secrets = [directory.session_token.read_text(), *guest.cookies.values()]
    secrets.append(guest.link.partition("token=")[2])
    places = {
        "laptop": [laptop.there / "state", laptop.there / "run"],
        "login": [directory.path],
        node: [room, directory.path],
    }
    page = f"{guest.room.removeprefix(guest.origin)}/api/status"
    for host, roots in places.items():
        hunt = Hunt(bed=cluster.bed, host=host, roots=roots, secrets=secrets, page=page)
        own, others = hunt.go(USER), hunt.go("nobody")
        assert others.is_empty, (host, others)
        # Who looks finds what there is.
        assert own.files, host
        assert own.sockets, host


async def knows(guest: Guest, kernel: str) -> bool:
    """Whether the server answers, and has this kernel."""
    return (await guest.fetch(f"{guest.room}/api/kernels/{kernel}")).code == 200


def files_in(place: Path) -> list[Path]:
    """Return every file in a directory and below, sockets too."""
    return [path for path in place.rglob("*") if not path.is_dir()]


def nothing_is_left(cluster: Cluster, before: set[str], *, but: Sequence[Computer] = ()) -> None:
    """See that no host has anything of a session any more, but for the homes of computers."""
    homes = [f"{computer.host}: {computer.there}" for computer in but]

    def left() -> list[str]:
        found = cluster.traces() - before
        return [each for each in found if not any(each.startswith(home) for home in homes)]

    assert until_now(lambda: not left(), 60, every=0.5), left()
    assert [*cluster.clusters.iterdir()] == []
