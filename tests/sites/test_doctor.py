"""What is judged good and bad, from facts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dask_hpc.batch.model import BatchQueue
from dask_hpc.sites.doctor import (
    OLDEST_DISTRIBUTED,
    OLDEST_PYTHON,
    Facts,
    Finding,
    HomeFacts,
    Severity,
    SiteFacts,
    Trouble,
    check,
)

HOME = HomeFacts(path=Path("/h"), exists=True, is_writable=True, file_system="lustre", free=10**12)
SITE = SiteFacts(
    name="alpine", reason="asked for", system="slurm", queues=(BatchQueue(name="cpu"),)
)
GOOD = Facts(
    python=(3, 12, 1),
    distributed="2026.8.0",
    cryptography="50.0.2",
    openssl="OpenSSL 3.0.19",
    has_tls13=True,
    open_files=65536,
    home=HOME,
    site=SITE,
    profiles=2,
)


def bad(**facts: Any) -> list[Finding]:
    return [found for found in check(replace(GOOD, **facts)) if found.severity is not Severity.OK]


def test_a_good_place_is_said_to_be_good() -> None:
    assert {found.about: found.text for found in check(GOOD)} == {
        "python": "python 3.12.1",
        "distributed": "distributed 2026.8.0",
        "tls": "OpenSSL 3.0.19, cryptography 50.0.2",
        "home": "/h",
        "site": "alpine: asked for",
        "batch system": "slurm answers; open queues: cpu",
        "open files": "65536 are allowed",
        "profile": "2 files are right",
        "cluster": "what is kept of clusters is private",
    }
    assert bad() == []


@pytest.mark.parametrize(
    ("facts", "severity", "about", "text", "hint"),
    [
        (
            {"python": (3, 10, 4)},
            "error",
            "python",
            "python 3.10.4 is too old",
            "use 3.11 or newer",
        ),
        (
            {"distributed": None},
            "error",
            "distributed",
            "distributed is not installed",
            "pip install distributed",
        ),
        (
            {"distributed": "2024.12.1"},
            "error",
            "distributed",
            "distributed 2024.12.1 is too old",
            "pip install 'distributed>=2025.1.0'",
        ),
        (
            {"cryptography": None},
            "error",
            "tls",
            "cryptography is not installed",
            "pip install cryptography",
        ),
        (
            {"has_tls13": False},
            "warning",
            "tls",
            "OpenSSL 3.0.19 has no TLS 1.3",
            "use a newer python",
        ),
        (
            {"open_files": 1024},
            "warning",
            "open files",
            "1024 open files are allowed: enough for about 341 workers",
            "ask for a limit of 4096 or more (ulimit -Hn)",
        ),
        (
            {"home": replace(HOME, trouble=Trouble(text="/h is open to others", hint="chmod"))},
            "error",
            "home",
            "/h is open to others",
            "chmod",
        ),
        (
            {"home": replace(HOME, is_writable=False)},
            "error",
            "home",
            "/h cannot be written",
            "set DASK_HPC_HOME to a directory of your own that all nodes see",
        ),
        (
            {"home": replace(HOME, free=5 * 2**20)},
            "warning",
            "home",
            "5 MiB are free at /h",
            "set DASK_HPC_HOME to a directory of your own that all nodes see",
        ),
        (
            {"home": replace(HOME, file_system="ext4")},
            "warning",
            "home",
            "/h is on ext4, which nodes may not share",
            "set DASK_HPC_HOME to a directory of your own that all nodes see",
        ),
        ({"site": Trouble(text="no such site", hint="x")}, "error", "site", "no such site", "x"),
        (
            {"site": replace(SITE, trouble=Trouble(text="slurm is down", hint="wait"))},
            "error",
            "batch system",
            "slurm is down",
            "wait",
        ),
        (
            {"site": replace(SITE, queues=(BatchQueue(name="cpu", is_open=False),))},
            "warning",
            "batch system",
            "slurm answers, but no queue is open",
            "dask-hpc queues shows them",
        ),
        (
            {"site": replace(SITE, network=Trouble(text="no 'ib7' here", hint="name another"))},
            "warning",
            "network",
            "no 'ib7' here",
            "name another",
        ),
        (
            {"site": replace(SITE, scratch=Trouble(text="/tmp is on tmpfs", hint="spill: false"))},
            "warning",
            "scratch space",
            "/tmp is on tmpfs",
            "spill: false",
        ),
        (
            {"bad_profiles": (Trouble(text="x.yaml:1: bad", hint="mend"),)},
            "error",
            "profile",
            "x.yaml:1: bad",
            "mend",
        ),
        (
            {"ignored_profiles": (Path("/e/x.yml"),)},
            "warning",
            "profile",
            "/e/x.yml is ignored",
            "call it x.yaml",
        ),
        (
            {"exposed": (Trouble(text="/h/clusters/c is open to others", hint="chmod"),)},
            "error",
            "cluster",
            "/h/clusters/c is open to others",
            "chmod",
        ),
        (
            {"leftovers": (Path("/h/clusters/c"),)},
            "warning",
            "cluster",
            "/h/clusters/c holds no record",
            "dask-hpc down c",
        ),
    ],
)
def test_what_is_bad_is_said_with_what_to_do(
    facts: dict[str, Any], severity: str, about: str, text: str, hint: str
) -> None:
    (found,) = bad(**facts)
    assert (found.severity, found.about, found.text, found.hint) == (severity, about, text, hint)


def test_where_a_scheduler_on_this_host_would_be_is_said_with_the_reason() -> None:
    site = replace(SITE, network="eth0 10.77.0.1: the route to node n1")
    said = [one.text for one in check(replace(GOOD, site=site)) if one.about == "network"]
    assert said == ["a scheduler on this host would be at eth0 10.77.0.1: the route to node n1"]


def test_a_home_on_this_machine_is_good_enough_for_its_own_queue() -> None:
    local = replace(SITE, system="local")
    assert bad(home=replace(HOME, file_system="ext4"), site=local) == []


def test_a_home_that_is_not_there_yet_will_be_made() -> None:
    found = check(replace(GOOD, home=replace(HOME, exists=False)))
    assert "/h, which will be made" in [one.text for one in found]


def test_the_oldest_versions_are_those_of_the_package() -> None:
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert f'"distributed>={".".join(map(str, OLDEST_DISTRIBUTED))}"' in project
    assert f'requires-python = ">={".".join(map(str, OLDEST_PYTHON))}"' in project
