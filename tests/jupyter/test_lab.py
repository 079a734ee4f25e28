"""JupyterLab in the job of a cluster: what its user has of it, and what nobody else has."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING

import psutil
import pytest

from dask_hpc._clock import SystemClock, until
from dask_hpc.cluster.session import last_use
from tests.integration.places import wait_for
from tests.jupyter.guest import PATIENCE, Guest, ending, opened, own_settings

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from tests.conftest import OtherUser
    from tests.integration.places import Place
    from tests.jupyter.conftest import Lab

pytestmark = pytest.mark.timeout(400)

COMPUTE = """
from dask_hpc import HPCCluster
cluster = HPCCluster.from_name()
client = cluster.get_client()
print(cluster.name, client.submit(sum, range(100)).result(), end="")
"""
KNOCK = """
import socket, sys
try:
    socket.socket(socket.AF_UNIX).connect(sys.argv[1])
except OSError as error:
    sys.exit(type(error).__name__)
"""


async def test_a_cell_computes_on_the_cluster_whose_name_it_need_not_know(lab: Lab) -> None:
    # Whoever comes early sees what is waited for at the same address.
    assert (await lab.guest.enter()).code == 200
    kernel = await lab.guest.kernel()
    assert await kernel.run(COMPUTE) == f"{lab.name} 4950"
    # Also for who knows nothing of us.
    assert (
        await kernel.run("from distributed import Client; Client().submit(pow, 2, 5).result()")
        == "32"
    )
    link = (await kernel.run("print(cluster.dashboard_link, end='')")).strip()
    await dashboard_is_seen(lab.guest, link)
    await lab.guest.api(f"kernels/{kernel.number}", method="DELETE")


async def dashboard_is_seen(guest: Guest, link: str) -> None:
    """Follow a link of a notebook through Jupyter, as the browser in which that is."""
    front, _, _ = link.rpartition("/")
    assert front.startswith(f"{guest.room.removeprefix(guest.origin)}/proxy/")
    assert (await guest.fetch(f"{guest.origin}{front}/health")).code == 403
    assert (await guest.fetch(f"{guest.origin}{link}")).code == 200
    health = await guest.fetch(f"{guest.origin}{front}/health")
    assert (health.code, health.body) == (200, b"ok")


async def test_the_extension_of_dask_shows_the_cluster_without_a_click(lab: Lab) -> None:
    pytest.importorskip("dask_labextension", reason="dask-labextension is not installed")
    await lab.guest.enter()
    listed: list[dict[str, object]] = []

    async def seen() -> bool:
        answer = await lab.guest.fetch(f"{lab.guest.room}/dask/clusters")
        listed[:] = json.loads(answer.body) if answer.code == 200 else []
        return bool(listed) and listed[0]["workers"] == 2

    clock = SystemClock()
    deadline = clock.monotonic() + PATIENCE
    while not await seen():
        assert clock.monotonic() < deadline, listed
        await clock.sleep(0.3)
    assert listed[0]["name"] == lab.name
    page = f"{lab.guest.room}/dask/dashboard/{listed[0]['id']}/health"
    assert (await lab.guest.fetch(page)).body == b"ok"


async def test_terminals_work_through_the_link(lab: Lab) -> None:
    await lab.guest.enter()
    name = (await lab.guest.api("terminals", method="POST", body={}))["name"]
    socket = await lab.guest.websocket(f"terminals/websocket/{name}")
    await socket.write_message('["stdin", "echo $((6 * 7))$DASK_HPC_CLUSTER\\r"]')
    said = ""
    while f"42{lab.name}" not in said:
        part = await socket.read_message()
        assert part is not None, said
        said += str(part)
    socket.close()
    await lab.guest.api(f"terminals/{name}", method="DELETE")


async def test_it_says_that_its_job_ends_soon_and_to_ask_is_no_use_of_it(lab: Lab) -> None:
    await lab.guest.enter()
    await lab.guest.api("status")  # it may be just starting
    page = await lab.guest.fetch(f"{lab.guest.room}/lab")
    assert b'"name": "dask-hpc"' in page.body
    script = "lab/extensions/dask-hpc/static/remoteEntry.js"
    assert b"dask-hpc/notice" in (await lab.guest.fetch(f"{lab.guest.room}/{script}")).body
    before = (await lab.guest.api("status"))["last_activity"]
    assert await notice(lab) == {}
    # Due in a second: what was so from the start would not be told.
    with ending(lab.directory, left=301):
        while not (said := await notice(lab)):
            await SystemClock().sleep(0.2)
    assert said["kind"] == "error"
    assert said["words"].startswith("Ends in 5m, kernels with it")
    assert f"dask-hpc extend {lab.name}" in said["words"]
    assert (await lab.guest.api("status"))["last_activity"] == before


async def test_a_kernel_that_computes_is_use_of_it_also_if_nobody_looks(lab: Lab) -> None:
    await lab.guest.enter()
    kernel = await lab.guest.kernel()
    begin = time.time()
    running = asyncio.ensure_future(kernel.run("import time; time.sleep(1000)"))
    # That it began is the last thing that is heard of it.
    is_used = partial(last_use, lab.directory)
    assert await until(lambda: is_used() > begin + 5, PATIENCE, clock=SystemClock())
    running.cancel()
    await lab.guest.api(f"kernels/{kernel.number}", method="DELETE")


async def notice(lab: Lab) -> Any:
    """Return what JupyterLab has to say."""
    return json.loads((await lab.guest.fetch(f"{lab.guest.room}/dask-hpc/notice")).body)


async def test_nothing_of_it_opens_to_another_user(lab: Lab, other_user: OtherUser) -> None:
    await lab.guest.enter()
    kernel = await lab.guest.kernel()
    await kernel.run("1")
    session = lab.session
    assert session.socket
    room = session.socket.parent
    assert (room.stat().st_mode & 0o777, session.socket.stat().st_mode & 0o777) == (0o700, 0o600)
    assert [path for path in room.rglob("*") if path.stat().st_mode & 0o077] == []
    knock = ("/usr/bin/python3", "-c", KNOCK, str(session.socket))
    assert await (await asyncio.create_subprocess_exec(*knock)).wait() == 0
    assert "PermissionError" in other_user(*knock).stderr
    for path in (session.token_file, lab.directory.session):
        assert path.stat().st_mode & 0o777 == 0o600
        assert other_user("cat", path).returncode != 0
    for page in ("lab", "api/kernels", "api/status"):
        done = other_user("curl", "-s", f"{lab.guest.room}/{page}")
        assert "is for one user" in done.stdout, done
    # Kernels talk over sockets in that directory; nothing listens to the network.
    assert list(room.glob("kernel-*-ipc-*"))
    heard = {
        each.laddr.ip
        for process in (*lab.processes("jupyter"), *lab.processes("ipykernel"))
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    }
    assert heard <= {"127.0.0.1"}
    await lab.guest.api(f"kernels/{kernel.number}", method="DELETE")


async def test_no_token_is_in_a_command_line_an_environment_or_a_log(lab: Lab) -> None:
    await lab.guest.enter()
    token = lab.session.token_file.read_text()
    seen = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = " ".join(process.info["cmdline"] or ())
        variables = " ".join((process.info["environ"] or {}).values())
        if token in words or token in variables:
            seen.append(words)
    assert seen == []
    directory = lab.directory
    texts = [*directory.logs.iterdir(), directory.session, directory.journal]
    assert [path for path in texts if token in path.read_text()] == []


async def test_it_is_started_again_at_the_same_address_when_it_was_killed(lab: Lab) -> None:
    await lab.guest.enter()
    (before,) = lab.processes("dask_hpc.jupyter.lab")
    before.kill()

    def is_back() -> bool:
        return [each for each in lab.processes("dask_hpc.jupyter.lab") if each != before] != []

    assert await until(is_back, PATIENCE, clock=SystemClock())
    kernel = await lab.guest.kernel()
    assert await kernel.run(COMPUTE) == f"{lab.name} 4950"
    await lab.guest.api(f"kernels/{kernel.number}", method="DELETE")


async def test_it_survives_a_scheduler_that_is_killed(lab: Lab) -> None:
    await lab.guest.enter()
    kernel = await lab.guest.kernel()
    await kernel.run("precious = 42")
    before = lab.processes("dask_hpc.jupyter.lab")
    (scheduler,) = lab.processes("dask_hpc.boot.scheduler")
    scheduler.kill()
    assert await kernel.run("print(precious, end='')") == "42"
    assert lab.processes("dask_hpc.jupyter.lab") == before
    report = partial(lab.place.ask, "status", lab.name)  # which has an event loop of its own
    await asyncio.to_thread(wait_for, lambda: report()["report"], PATIENCE)
    await lab.guest.api(f"kernels/{kernel.number}", method="DELETE")


def test_it_is_listed(lab: Lab) -> None:
    wait_for(lambda: lab.place.ask("ls")[0]["lab"] == "running")
    done = lab.place.dask_hpc("status", lab.name)
    assert f"open it with dask-hpc attach {lab.name}" in done.stdout


async def test_another_link_leads_to_the_same_kernels(lab: Lab) -> None:
    await lab.guest.enter()
    number = (await lab.guest.kernel()).number
    with opened(lab.place, "attach", lab.name) as (link, process):
        guest = Guest(link)
        assert (await guest.fetch(f"{guest.room}/lab")).code == 403
        await guest.enter()
        assert number in [each["id"] for each in await guest.api("kernels")]
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
    assert said.splitlines()[-2:] == [
        f"detached: {lab.name} goes on",
        f"come back with dask-hpc attach {lab.name}, end it with dask-hpc down {lab.name}",
    ]
    await lab.guest.api(f"kernels/{number}", method="DELETE")


def test_ctrl_c_while_the_job_waits_detaches_and_says_how_to_come_back(local_place: Place) -> None:
    place, name = local_place, local_place.name()
    too_large = {**own_settings(place), "DASK_HPC__SCHEDULER_CORES": "64"}
    words = ("up", *place.small_options, "--name", name, "--jobs", "0", "--lab")
    with opened(place, *words, env=too_large) as (_, process):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0
    assert said.splitlines()[-2:] == [
        f"detached: {name} goes on",
        f"come back with dask-hpc attach {name}, end it with dask-hpc down {name}",
    ]
    assert len(place.live_jobs(name)) == 1
    assert place.dask_hpc("down", name).returncode == 0
    assert place.left(name) == []


def test_an_environment_without_jupyterlab_is_told_before_anything_is_submitted(
    local_place: Place, tmp_path: Path
) -> None:
    place, name = local_place, local_place.name()
    bare = tmp_path / "bin" / "python"
    bare.parent.mkdir()
    # All that it has to have but this one package.
    hide = "import sys; sys.modules['jupyterlab'] = None"
    (tmp_path / "sitecustomize.py").write_text(f"{hide}\n")
    words = f'PYTHONPATH="{tmp_path}:$PYTHONPATH" exec "{sys.executable}" "$@"'
    bare.write_text(f"#!/bin/sh\n{words}\n")
    bare.chmod(0o755)
    done = place.dask_hpc(
        "up", *place.small_options, "--lab", "--name", name, "--env", str(tmp_path)
    )
    assert done.returncode == 1, done
    assert done.stderr.splitlines()[-2:] == [
        f"error: the environment of {bare} has no jupyterlab",
        f"hint: {bare} -m pip install 'dask-hpc[lab]', or --env names one that has it",
    ]
    assert not place.directory(name).exists()
