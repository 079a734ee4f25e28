"""JupyterLab on a node of a site that ssh reaches, in a browser of a laptop."""

from __future__ import annotations

import secrets
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil
import pytest
from tornado.simple_httpclient import HTTPStreamClosedError

from dask_hpc._clock import SystemClock, until
from dask_hpc.remote.master import socket_of
from tests.integration.places import PROGRAM
from tests.jupyter.guest import PATIENCE, Guest
from tests.jupyter.test_lab import COMPUTE
from tests.remote.laptop import site_there

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.beds.beds import SlurmBed
    from tests.remote.laptop import Laptop

SMALL = ("--cores=1", "--memory=500MB", "--walltime=10m")
HOST = "login-2fa"


@pytest.fixture
def site(laptop: Laptop, slurm: SlurmBed, home: Path) -> Iterator[str]:
    del laptop, home
    with site_there(HOST, slurm) as name:
        yield name


@contextmanager
def opened(*words: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a command of the laptop that prints a link and stays; give the link."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [*PROGRAM, *words], stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    ) as process:
        try:
            assert process.stdout
            link = process.stdout.readline().strip()
            assert link.startswith("http://127.0.0.1:"), process.communicate(timeout=30)
            yield link, process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def end(name: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "down", name], capture_output=True, text=True, check=False, timeout=100
    )
    assert (done.returncode, done.stdout) == (0, f"{name.partition('@')[0]} is gone\n"), done.stderr


@pytest.mark.timeout(240)
async def test_lab_is_there_after_one_login_and_again_after_a_lost_connection(
    site: str, laptop: Laptop, home: Path
) -> None:
    name = f"far-{secrets.token_hex(2)}"
    with opened("up", site, "--lab", "--name", name, "--jobs=1", *SMALL) as (link, process):
        guest = Guest(link)
        assert (await guest.enter()).code in (200, 302)
        kernel = await guest.kernel()
        assert await kernel.run(COMPUTE) == f"{name} 4950"
        await kernel.run("precious = 42")
        assert laptop.prompts == 2  # the password, and the code
        # All that runs over the shared connection is cut off, and the connection stays.
        for each in psutil.Process(process.pid).children():
            if each.name() == "ssh":
                each.kill()

        async def is_back() -> bool:
            try:
                answer = await guest.fetch(f"{guest.room}/api/kernels/{kernel.number}")
            except HTTPStreamClosedError:  # it was on its way when all was cut off
                return False
            return answer.code == 200

        assert await eventually(is_back)
        again = await guest.rejoin(kernel.number)
        assert await again.run("print(precious, end='')") == "42"
        assert laptop.prompts == 2
    assert process.returncode == 0
    # The same address, from a new start of the laptop's side.
    with opened("attach", name) as (second, process):
        assert Guest(second).origin == guest.origin
        back = Guest(second)
        assert (await back.enter()).code in (200, 302)
        kernel = await back.rejoin(again.number)
        assert await kernel.run("print(precious, end='')") == "42"
        end(name)
        assert process.wait(30) == 0
    assert not socket_of(HOST).exists()
    assert not list((home / "far").iterdir())


async def eventually(condition: object) -> bool:
    """Whether a condition that takes a while to ask for comes to hold."""
    clock = SystemClock()
    deadline = clock.monotonic() + PATIENCE
    while clock.monotonic() < deadline:
        if await condition():  # type: ignore[operator]
            return True
        await clock.sleep(0.5)
    return False


@pytest.mark.timeout(240)
async def test_a_laptop_that_was_switched_off_leaves_the_work_to_another(
    site: str, home: Path
) -> None:
    name = f"far-{secrets.token_hex(2)}"
    with opened("up", site, "--lab", "--name", name, "--jobs=1", *SMALL) as (link, process):
        guest = Guest(link)
        await guest.enter()
        kernel = await guest.kernel()
        family = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        assert await until(
            lambda: not [each for each in family if each.is_running()], 30, clock=SystemClock()
        )
    (home / "far").rename(home / "first")  # another laptop knows nothing
    with opened("attach", f"{name}@{site}") as (link, process):
        back = Guest(link)
        await back.enter()
        assert await (await back.rejoin(kernel.number)).run("print(6 * 7, end='')") == "42"
    end(f"{name}@{site}")


def test_a_cluster_without_lab_says_so(site: str) -> None:
    name = f"far-{secrets.token_hex(2)}"
    up = [*PROGRAM, "up", site, "--name", name, "--detach", *SMALL]
    assert subprocess.run(up, capture_output=True, check=False).returncode == 0
    done = subprocess.run([*PROGRAM, "attach", name], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "was started without JupyterLab" in done.stderr
    end(name)
