"""JupyterLab: from the job's start until it can be used, beside one by hand; and to it once more.

By hand is a job of the same size in which ``jupyter lab`` listens on a port of its node. Ours has
the scheduler of a cluster beside it, and is asked by the link that ``dask-hpc up`` prints. The
second measurement is made on separate hosts: laptop, jump host, login node, node.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from contextlib import ExitStack, contextmanager, suppress
from http.cookiejar import CookieJar
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import HTTPCookieProcessor, build_opener

from tests.beds.beds import BedUnavailable, SlurmBed, make
from tests.remote.computers import SITE, Computer, cluster_at, computer_at, network_of

from benchmarks.bed import place, private_home, slurm
from benchmarks.environment import PYTHON, VENV
from benchmarks.harness import Contender, Goal, Measurement, TurnFailed, Unavailable
from dask_hpc._clock import SystemClock, until_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Quantities

_LAB = VENV / "lab"  # apart: no other contender has to look through it
_PACKAGES = ("jupyterlab", "jupyter-server-proxy", "dask-labextension")
_BY_HAND = "jupyter lab by hand"
_SECONDS = 100.0
_STATE = "/var/lib/dask-hpc-bench-net"
_NAME = "again"
_LAPTOP = "DASK_HPC_BENCH_LAPTOP"


def measurement() -> Measurement:
    """Return the measurement of a start."""
    return Measurement(
        name="From a job's start to JupyterLab's page",
        contenders=[
            Contender(name="dask-hpc up --lab", run=_ours),
            Contender(name=_BY_HAND, run=_by_hand),
        ],
        goals=[Goal(quantity="start s", at_most=1.3, beside=_BY_HAND)],
        around=_bed,
        patience=_SECONDS + 40.0,
    )


def attach() -> Measurement:
    """Return the measurement of ``dask-hpc attach`` on a laptop that is logged in."""
    return Measurement(
        name="JupyterLab once more, from a laptop over a jump host and a login node",
        contenders=[Contender(name="dask-hpc attach", run=_attach)],
        goals=[Goal(quantity="page s", at_most=2.0)],
        around=_hosts,
        patience=_SECONDS + 40.0,
    )


# the start ---------------------------------------------------------------------------------------


@contextmanager
def _bed() -> Iterator[None]:
    with slurm():
        _fetch()
        yield


def _fetch() -> None:
    """Make an environment that has JupyterLab beside all that the benchmarks' own has."""
    python = _LAB / "bin" / "python"
    site = next((VENV / "lib").glob("python*/site-packages"))
    try:
        if not (_LAB / "made").exists():
            subprocess.run([PYTHON, "-m", "venv", "--clear", _LAB], check=True)
            own = next((_LAB / "lib").glob("python*/site-packages"))
            (own / "beside.pth").write_text(f"import site; site.addsitedir({str(site)!r})\n")
            pinned = str(VENV / "constraints.txt")
            words = ["--quiet", "--disable-pip-version-check", "--constraint", pinned]
            subprocess.run([python, "-m", "pip", "install", *words, *_PACKAGES], check=True)
            (_LAB / "made").touch()
    except (OSError, subprocess.CalledProcessError) as error:
        raise Unavailable(f"there is no JupyterLab: {error}") from error


def _ours() -> Quantities:
    name = f"lab-{secrets.token_hex(2)}"
    size = ("--cores=2", "--memory=2GB", "--walltime=30m", "--jobs=0")
    up = ("up", "slurm", "--lab", "--name", name, *size, f"--prologue={_clock()}")
    argv = [str(_LAB / "bin" / "python"), "-m", "dask_hpc.cli.main"]
    with _opened([*argv, *up], env={"DASK_HPC__SCHEDULER_CORES": "2"}) as link:
        try:
            return {"start s": _seen(link) - _begun()}
        finally:
            subprocess.run([*argv, "down", name], stdout=subprocess.DEVNULL, check=False)


def _by_hand() -> Quantities:
    token = secrets.token_hex(8)
    port = 20000 + secrets.randbelow(9000)
    lab = f"{_LAB}/bin/jupyter lab --no-browser --allow-root --ServerApp.ip=127.0.0.1"
    words = f"{lab} --ServerApp.port={port} --IdentityProvider.token={token}"
    size = ("--cpus-per-task=2", "--mem=2G", "--time=30")
    log = f"--output={place() / 'lab.log'}"
    _clear()
    argv = ["sbatch", "--parsable", *size, log, f"--wrap={_clock()}; exec {words}"]
    done = subprocess.run(argv, cwd=place(), capture_output=True, text=True, check=True)
    try:
        return {"start s": _seen(f"http://127.0.0.1:{port}/lab?token={token}") - _begun()}
    finally:
        subprocess.run(["scancel", done.stdout.strip()], check=False)


def _clock() -> str:
    return f"date +%s.%N >{place() / 'begun'}"


def _clear() -> None:
    (place() / "begun").unlink(missing_ok=True)


def _begun() -> float:
    return float((place() / "begun").read_text(encoding="utf-8"))


@contextmanager
def _opened(argv: list[str], *, env: dict[str, str]) -> Iterator[str]:
    """Run a command that prints a link and stays; give the link."""
    _clear()
    with subprocess.Popen(
        argv,
        cwd=place(),
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)


def _seen(link: str) -> float:
    """Return when the page behind a link was JupyterLab's."""
    opener = build_opener(HTTPCookieProcessor(CookieJar()))
    pages = [link, link.partition("?")[0]]  # the first answer uses the token up

    def is_there() -> bool:
        with suppress(OSError), opener.open(pages[0], timeout=30) as answer:
            del pages[:-1]
            return b"jupyter-config-data" in answer.read()
        return False

    if not until_now(is_there, _SECONDS, every=0.02):
        raise TurnFailed(f"no JupyterLab after {_SECONDS:.0f} s")
    return SystemClock().time()


# once more ---------------------------------------------------------------------------------------


@contextmanager
def _hosts() -> Iterator[None]:
    """Enter with a JupyterLab on a node, that was started from a laptop which is logged in."""
    os.environ["DASK_HPC_BEDS"] = _STATE
    beds = [make("slurm_net"), make("sshd")]
    with private_home(), ExitStack() as stack:
        for bed in beds:
            stack.callback(bed.control, "stop")
            try:
                bed.control("start", timeout=900)
            except (BedUnavailable, OSError) as error:
                raise Unavailable(f"there are no separate hosts: {error}") from error
        assert isinstance(beds[0], SlurmBed)
        cluster = stack.enter_context(cluster_at(beds[0]))
        laptop = stack.enter_context(computer_at("laptop", cluster, reached="cluster"))
        stack.callback(laptop.dask_hpc, "down", _NAME)
        size = ("--cores=1", "--memory=500MB", "--walltime=30m", "--jobs=0")
        up = laptop.opened("up", SITE, "--lab", "--name", _NAME, *size)
        with up as (link, _), network_of("laptop"):
            _seen(link)
        os.environ[_LAPTOP] = str(laptop.there)
        yield


def _attach() -> Quantities:
    bed = make("slurm_net")
    assert isinstance(bed, SlurmBed)
    laptop = Computer(bed=bed, host="laptop", there=Path(os.environ[_LAPTOP]))
    begin = SystemClock().time()
    with laptop.opened("attach", _NAME) as (link, _), network_of("laptop"):
        return {"page s": _seen(link) - begin}
