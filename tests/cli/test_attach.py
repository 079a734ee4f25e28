"""``dask-hpc attach``: what it refuses; tests/remote/test_routes.py has the ways."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner

from dask_hpc.cli.main import cli

if TYPE_CHECKING:
    from tests.integration.places import Standing


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--route=jump",), 1, "route 'jump' begins on another host"),
        (("--route=srun",), 2, "'srun' is not one of 'direct', 'ssh', 'job', 'tls', 'jump'"),
        ((), 1, "was started without JupyterLab"),
    ],
)
def test_a_way_that_is_none_here_is_refused(
    standing: Standing, options: tuple[str, ...], code: int, words: str
) -> None:
    done = CliRunner().invoke(cli, ["attach", standing.name, *options], env=standing.place.environ)
    assert (done.exit_code, words in done.stderr) == (code, True), done.stderr
