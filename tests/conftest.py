"""Fixtures for every test: real systems, private places, other users; a watch on what is left."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, get_args

import pytest
from hypothesis import settings

from tests.beds.beds import (
    SESSION_VARIABLE,
    Bed,
    Debian13Bed,
    HTCondorBed,
    MPIBed,
    Name,
    OarBed,
    SgeBed,
    SlurmBed,
    SshBed,
)
from tests.beds.session import Beds, end_leftovers
from tests.remote.laptop import Laptop, make_laptop

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_BEDS = pytest.StashKey[Beds]()
_SESSION = pytest.StashKey[str]()
_NAMES: tuple[Name, ...] = get_args(Name)
_SYSTEMS: set[Name] = {
    "slurm",
    "slurm_net",
    "mpi",
    "sshd",
    "sge",
    "debian13_oar",
}  # half of the time
_Kind = TypeVar("_Kind", bound=Bed)


class OtherUser(Protocol):
    """Runs a command as a user who owns nothing."""

    def __call__(self, *argv: str | Path, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """Return what the command said; its environment is empty but for PATH."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="also run what takes minutes")
    texts = "how many texts each batch system's scripts are tried with"
    parser.addoption("--texts", type=int, default=2000, help=texts)
    sides = "one of two parts of the tests, which may run at once"
    parser.addoption("--side", choices=("machine", "systems"), help=sides)


def pytest_configure(config: pytest.Config) -> None:
    # A shell starts what runs in the background with SIGINT ignored, nohup with SIGHUP ignored, and
    # children inherit that. They do not inherit a function.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)
    # How long an example takes says more about what else the machine does.
    settings.register_profile("dask-hpc", deadline=None)
    settings.load_profile("dask-hpc")
    config.stash[_BEDS] = Beds()
    config.stash[_SESSION] = os.environ[SESSION_VARIABLE] = uuid.uuid4().hex


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("soak") and not item.config.getoption("--soak"):
        pytest.skip("takes minutes; run with --soak")


# beds --------------------------------------------------------------------------------------------


def _beds_of(item: pytest.Item) -> list[Name]:
    """Return the beds that a test needs, by its marker or by its fixtures."""
    wanted = {name for mark in item.iter_markers("bed") for name in mark.args}
    if unknown := wanted.difference(_NAMES):
        raise pytest.UsageError(f"{item.nodeid}: no such bed: {', '.join(sorted(unknown))}")
    wanted.update(getattr(item, "fixturenames", ()))
    return [name for name in _NAMES if name in wanted]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> Generator[None, object, object]:
    _leave_one_side(config, items)
    for item in items:
        for name in _beds_of(item):
            if name not in {bed for mark in item.iter_markers("bed") for bed in mark.args}:
                item.add_marker(pytest.mark.bed(name))
            if name not in getattr(item, "fixturenames", ()):
                item.fixturenames = [*item.fixturenames, name]  # type: ignore[attr-defined]  # of Function
    result = yield  # pytest selects by marker, and brings those of one fixture together
    # The fast ones first; then those of one bed together.
    items.sort(key=lambda item: [_NAMES.index(name) for name in _beds_of(item)])
    return result


def _leave_one_side(config: pytest.Config, items: list[pytest.Item]) -> None:
    if (side := config.getoption("--side")) is None:
        return
    wanted = [item for item in items if _side_of(item) == side]
    config.hook.pytest_deselected(items=[item for item in items if _side_of(item) != side])
    items[:] = wanted


def _side_of(item: pytest.Item) -> str:
    return "systems" if _SYSTEMS.intersection(_beds_of(item)) else "machine"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    # Not in a fixture: the first start installs packages, for which no test's time limit is meant.
    for name in _beds_of(item):
        item.config.stash[_BEDS].prepare(name)
        item.user_properties.append(("bed", name))
    return (yield)


def _bed(config: pytest.Config, name: Name, kind: type[_Kind]) -> _Kind:
    attempt = config.stash[_BEDS].prepare(name)
    if failure := attempt.failure:
        if failure.possible and os.environ.get("CI"):
            pytest.fail(f"bed {name}: {failure}", pytrace=False)
        pytest.skip(f"bed {name}: {failure}")
    assert isinstance(attempt.bed, kind)
    return attempt.bed


@pytest.fixture(scope="session")
def data(pytestconfig: pytest.Config) -> Bed:
    """The data set of the examples, on this machine's disk."""
    return _bed(pytestconfig, "data", Bed)


@pytest.fixture(scope="session")
def chromium(pytestconfig: pytest.Config) -> Bed:
    """A real browser on this machine."""
    return _bed(pytestconfig, "chromium", Bed)


@pytest.fixture(scope="session")
def hub(pytestconfig: pytest.Config) -> Bed:
    """The proxy of a JupyterHub on this machine."""
    return _bed(pytestconfig, "hub", Bed)


@pytest.fixture(scope="session")
def mpi(pytestconfig: pytest.Config) -> MPIBed:
    """OpenMPI and MPICH on this machine."""
    return _bed(pytestconfig, "mpi", MPIBed)


@pytest.fixture(scope="session")
def slurm(pytestconfig: pytest.Config) -> Iterator[SlurmBed]:
    """A Slurm on this machine, which our code in this process and its children finds."""
    bed = _bed(pytestconfig, "slurm", SlurmBed)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bed.environ.items():
            patch.setenv(name, value)
        yield bed


@pytest.fixture(scope="session")
def slurm_net(pytestconfig: pytest.Config) -> SlurmBed:
    """A Slurm of separate hosts, whose nodes have no Slurm commands; `SlurmBed.run` reaches it."""
    return _bed(pytestconfig, "slurm_net", SlurmBed)


@pytest.fixture(scope="session")
def oar(pytestconfig: pytest.Config) -> OarBed:
    """An OAR on this machine; `OarBed.argv` runs its commands as a user whom it serves."""
    return _bed(pytestconfig, "oar", OarBed)


@pytest.fixture(scope="session")
def htcondor(pytestconfig: pytest.Config) -> HTCondorBed:
    """An HTCondor in a root of Debian 13; `HTCondorBed.argv` runs commands in it as a user."""
    return _bed(pytestconfig, "htcondor", HTCondorBed)


@pytest.fixture(scope="session")
def debian13_slurm(pytestconfig: pytest.Config) -> Debian13Bed:
    """A machine of Debian 13 with its Slurm."""
    return _bed(pytestconfig, "debian13_slurm", Debian13Bed)


@pytest.fixture(scope="session")
def debian13_oar(pytestconfig: pytest.Config) -> Debian13Bed:
    """A machine of Debian 13 with its OAR."""
    return _bed(pytestconfig, "debian13_oar", Debian13Bed)


@pytest.fixture(scope="session")
def sge(pytestconfig: pytest.Config) -> Iterator[SgeBed]:
    """A Grid Engine on this machine, which our code in this process and its children finds."""
    bed = _bed(pytestconfig, "sge", SgeBed)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in bed.variables().items():
            patch.setenv(name, value)
        yield bed


@pytest.fixture(scope="session")
def sshd(pytestconfig: pytest.Config) -> SshBed:
    """SSH servers of several kinds."""
    return _bed(pytestconfig, "sshd", SshBed)


@pytest.fixture
def laptop(sshd: SshBed, monkeypatch: pytest.MonkeyPatch) -> Iterator[Laptop]:
    """A laptop, which this process is on; its shared connections end with the test."""
    place = Path(tempfile.mkdtemp(prefix="dh", dir="/tmp"))
    made = make_laptop(place, sshd)
    for name, value in made.environ.items():
        monkeypatch.setenv(name, value)
    yield made
    made.disconnect()
    shutil.rmtree(place)


# what is left ------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left(pytestconfig: pytest.Config) -> Iterator[None]:
    """Fail the last test if any test left a process or a job behind."""
    yield
    left = [
        *pytestconfig.stash[_BEDS].leftover_jobs(),
        *end_leftovers(pytestconfig.stash[_SESSION]),
    ]
    if left:
        pytest.fail("\n".join(["left by the tests, and ended now:", *left]), pytrace=False)


def pytest_sessionfinish(session: pytest.Session) -> None:
    session.config.stash[_BEDS].stop()


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    lines = [*config.stash[_BEDS].summary(), *_ring_times(terminalreporter)]
    if lines:
        terminalreporter.section("beds and rings")
    for line in lines:
        terminalreporter.write_line(line)


def _ring_times(reporter: pytest.TerminalReporter) -> Iterator[str]:
    """Say how long the tests with each bed took, and those without any."""
    seconds: dict[str, list[float]] = {}
    for report in (report for reports in reporter.stats.values() for report in reports):
        if isinstance(report, pytest.TestReport):
            beds = [name for name in _NAMES if ("bed", name) in report.user_properties]
            seconds.setdefault(" and ".join(beds) or "unit", []).append(report.duration)
    for ring, durations in seconds.items():
        yield f"tests, {ring}: {sum(durations):.1f} s"


# places and people -------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def _no_real_home() -> Iterator[None]:
    """Keep every test away from the clusters of whoever runs it."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="dh") as path:
        patch.setenv("DASK_HPC_HOME", f"{path}/h")
        yield


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A private DASK_HPC_HOME; its path is short, for it holds unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="dh", dir="/tmp"))
    monkeypatch.setenv("DASK_HPC_HOME", str(path))
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def weird_path(tmp_path: Path) -> Path:
    """A directory whose name breaks whoever quotes carelessly."""
    path = tmp_path / 'it\'s a "weird" $HOME `id` & ünï;码 *'
    path.mkdir()
    return path


@pytest.fixture
def other_user() -> OtherUser:
    """A way to run a command as the user nobody."""
    if os.geteuid():
        pytest.skip("only root can become another user")

    def run(*argv: str | Path, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        become = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--reset-env"]
        return subprocess.run(
            [*become, "--", *map(str, argv)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    return run
