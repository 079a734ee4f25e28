"""What went wrong can be put right, and then the next `scale` works."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dask_hpc import HPCCluster
from dask_hpc.errors import JobFailed, SubmitRejected

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.places import Place


def test_after_a_prologue_that_failed(place: Place, tmp_path: Path) -> None:
    module = tmp_path / "module"
    prologue = f"[ -e {module} ] || {{ echo no module; exit 7; }}"
    with HPCCluster(**place.small, name=place.name(), prologue=prologue) as cluster:
        cluster.scale(jobs=1)
        with pytest.raises(JobFailed, match="exit code 7") as caught:
            cluster.wait_for_workers(2, timeout=30)
        assert caught.value.log_tail == "no module"
        assert 1 <= len(place.jobs(cluster.name)) <= 4
        module.touch()
        cluster.scale(jobs=1)
        cluster.wait_for_workers(2, timeout=30)
        report = cluster.report()
        assert (report.trouble, report.halted) == (None, "")


def test_after_a_refusal_of_the_local_queue(local_place: Place) -> None:
    name = local_place.name()
    local_place.ask("up", *local_place.small_options, "--name", name, "--jobs", "0")
    logs = local_place.directory(name) / "logs"
    logs.rename(logs.with_name("elsewhere"))
    refused = local_place.dask_hpc("scale", name, "2")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == f"error: output: {logs} is not a directory\nhint: mkdir -p {logs}\n"
    assert local_place.ask("why", name)["waits_for"].startswith("somebody to call scale: output: ")
    logs.with_name("elsewhere").rename(logs)
    local_place.ask("scale", name, "2")
    report = local_place.ask("status", name)["report"]
    assert [job["phase"] for job in report["jobs"]] != []
    assert local_place.ask("down", name) == [{"name": name, "left": []}]


def test_a_refusal_in_one_cluster_is_none_of_another(place: Place) -> None:
    nowhere = {**place.small, "queue": "nowhere"}
    with (
        HPCCluster(**nowhere, name=place.name()) as bad,
        HPCCluster(**place.small, name=place.name()) as good,
    ):
        with pytest.raises(SubmitRejected):
            bad.scale(jobs=1)
        good.scale(jobs=1)
        good.wait_for_workers(2, timeout=30)
        assert bad.jobs() == ()
