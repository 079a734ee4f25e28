"""A profile for what was found."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.model import BatchQueue
from dask_hpc.errors import ConfigError
from dask_hpc.sites import profile
from dask_hpc.sites.values import Duration
from dask_hpc.sites.write import profile_name, profile_text, write_profile

if TYPE_CHECKING:
    from collections.abc import Iterator

QUEUES = (
    BatchQueue(name="cpu", max_walltime=86400.0, max_nodes=4),
    BatchQueue(name="yes: [odd]"),
)


@pytest.fixture
def careless() -> Iterator[None]:
    """A umask that keeps nobody out."""
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize(
    ("host", "name"),
    [("login7.alpine.org", "login"), ("alpine-03", "alpine"), ("42", "42"), ("x", "x")],
)
def test_a_site_is_called_as_its_login_nodes_without_their_number(host: str, name: str) -> None:
    assert profile_name(host) == name


@pytest.mark.usefixtures("careless")
def test_a_written_profile_can_be_read_and_fits_its_host() -> None:
    path = write_profile("alpine", profile_text("slurm", "login7.alpine.org", queues=QUEUES))
    settings = profile.find("alpine").settings
    assert path.stat().st_mode & 0o777 == 0o644
    assert settings.system == "slurm"
    assert settings.recognise.hosts == ("login*",)
    assert settings.queues["cpu"].max_walltime == Duration(86400)
    assert settings.queues["cpu"].max_nodes == 4
    assert settings.queues["yes: [odd]"].max_walltime is None


def test_a_profile_is_never_written_over_another() -> None:
    path = write_profile("alpine", "cores: 4\n")
    with pytest.raises(ConfigError, match=f"^{path} exists$"):
        write_profile("alpine", "cores: 5\n")
    assert path.read_text() == "cores: 4\n"


@pytest.mark.parametrize("name", ["../x", "", "a b", "x.yaml", "-x", "x" * 41])
def test_a_name_that_would_leave_the_directory_is_refused(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        write_profile(name, "")
    assert str(caught.value) == f"site name {name!r} cannot be used"
    assert not profile.user_directory().exists()
