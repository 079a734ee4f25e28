"""``dask-hpc shell``: on the node, within the job."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.places import Place, Standing


def test_a_command_runs_on_the_node_within_the_job(standing: Standing) -> None:
    place, name = standing.place, standing.name
    done = place.dask_hpc(
        "shell", name, "sh", "-c", 'echo "$DASK_HPC_CLUSTER ${SLURM_JOB_ID-none}"'
    )
    job = place.ask("status", name)["job"] if place.site == "slurm" else "none"
    assert (done.returncode, done.stdout) == (0, f"{name} {job}\n"), done.stderr


def test_its_exit_code_is_that_of_the_command(standing: Standing) -> None:
    assert standing.place.dask_hpc("shell", standing.name, "sh", "-c", "exit 7").returncode == 7


def test_a_cluster_that_is_not_there_is_told(place: Place) -> None:
    done = place.dask_hpc("shell", "nowhere")
    assert done.returncode == 1
    assert "there is no cluster named 'nowhere'" in done.stderr
