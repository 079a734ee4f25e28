"""No file of a cluster is open to others, whatever the umask of whoever starts it."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from tests.integration.places import PROGRAM, run, wait_for

if TYPE_CHECKING:
    from tests.integration.places import Place


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_whole_life_leaves_no_file_that_others_may_read(place: Place, umask: int) -> None:
    name = place.name()
    words = ("up", *place.small_options, "--name", name, "--workers", "2")
    caches = {"PYTHONDONTWRITEBYTECODE": ""}
    with place.start(*PROGRAM, *words, umask=umask, env=caches) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    place.ask("scale", name, "0")
    wait_for(lambda: len(list(place.directory(name).glob("jobs/*.end"))) == 1)
    everything = run("find", str(place.directory(name))).split()
    assert len(everything) > 50
    assert any(path.endswith(".pyc") for path in everything)
    assert run("find", str(place.home), "-not", "-type", "l", "-perm", "/077") == ""
    assert place.ask("down", name) == [{"name": name, "left": []}]


@pytest.mark.parametrize("umask", [0o002, 0o022])
def test_tasks_write_files_with_the_umask_of_their_user(place: Place, umask: int) -> None:
    # What is private is ours alone: results that a group shall read are the user's business.
    name = place.name()
    program = (
        "import sys; from dask_hpc import HPCCluster\n"
        f"with HPCCluster(**{place.small!r}, name={name!r}) as cluster:\n"
        "    cluster.scale(jobs=1)\n"
        "    with cluster.get_client() as client:\n"
        "        def write(path):\n"
        "            open(path, 'w').close()\n"
        "        client.submit(write, sys.argv[1]).result(timeout=60)\n"
    )
    result = place.home / f"result-{umask}"
    with place.python(program, str(result), umask=umask) as process:
        _, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert stat.S_IMODE(result.stat().st_mode) == 0o666 & ~umask
    result.unlink()
