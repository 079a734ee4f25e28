"""What each launcher says of its tasks. The variables are as the real ones set them."""

import pytest

from dask_hpc.boot.ranks import find_ranks
from dask_hpc.errors import LaunchError

# Of 'mpirun -np 4 env' and 'srun -N2 -n4 env', what of it matters.
OPENMPI = {
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_SIZE": "4",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
    "OMPI_MCA_orte_hnp_uri": "1403387904.0;tcp://192.0.2.2:34215",
    "PMIX_NAMESPACE": "1403387905",
    "PMIX_RANK": "1",
}
MPICH = {"PMI_RANK": "3", "PMI_SIZE": "4", "MPI_LOCALNRANKS": "4", "MPI_LOCALRANKID": "3"}
MVAPICH = {
    "MV2_COMM_WORLD_RANK": "0",
    "MV2_COMM_WORLD_SIZE": "2",
    "MV2_COMM_WORLD_LOCAL_SIZE": "1",
    "SLURM_JOB_ID": "7",
    "SLURM_STEP_ID": "0",
}
SLURM = {
    "SLURM_JOB_ID": "42",
    "SLURM_STEP_ID": "0",
    "SLURM_PROCID": "4",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_NODEID": "2",
}
SCRIPT = {"DASK_HPC_RANK": "2", "DASK_HPC_TASKS": "3", "PBS_JOBID": "42.server"}
PMIX = {**SLURM, "PMIX_RANK": "4", "PMIX_NAMESPACE": "slurm.pmix.42.0"}


@pytest.mark.parametrize(
    ("environ", "told_by", "place"),
    [
        (OPENMPI, "OpenMPI", (1, 4, 2)),
        (MPICH, "PMI", (3, 4, 4)),
        (MVAPICH, "MVAPICH2", (0, 2, 1)),
        (SLURM, "Slurm", (4, 5, 1)),
        ({**SLURM, "SLURM_PROCID": "0", "SLURM_NODEID": "0"}, "Slurm", (0, 5, 2)),
        (PMIX, "PMIx", (4, 5, 1)),
        (SCRIPT, "the job script", (2, 3, 1)),
        ({**SLURM, **SCRIPT}, "the job script", (2, 3, 1)),
        ({**SLURM, **OPENMPI}, "OpenMPI", (1, 4, 2)),
        ({**SLURM, **MPICH}, "PMI", (3, 4, 4)),
    ],
)
def test_a_task_knows_its_place(
    environ: dict[str, str], told_by: str, place: tuple[int, int, int]
) -> None:
    found = find_ranks(environ)
    assert found is not None
    assert (found.rank, found.size, found.local_size) == place
    assert found.told_by == told_by


def test_the_script_of_a_job_is_no_task() -> None:
    script = {"SLURM_JOB_ID": "42", "SLURM_PROCID": "0", "SLURM_NTASKS": "4"}
    assert find_ranks(script) is None


def test_without_a_launcher_nothing_is_known() -> None:
    assert find_ranks({"PATH": "/usr/bin"}) is None


@pytest.mark.parametrize("environ", [OPENMPI, MPICH, SLURM, PMIX, MVAPICH])
def test_all_tasks_of_a_launch_have_one_word(environ: dict[str, str]) -> None:
    others = {
        **environ,
        **dict.fromkeys(("OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID"), "0"),
    }
    others = {name: value for name, value in others.items() if name in environ}
    one, other = find_ranks(environ), find_ranks(others)
    assert one is not None
    assert other is not None
    assert one.launch == other.launch != ""


@pytest.mark.parametrize(
    ("environ", "changed"),
    [
        (OPENMPI, {"PMIX_NAMESPACE": "1403387906"}),
        (SLURM, {"SLURM_STEP_ID": "1"}),
        (SLURM, {"SLURM_JOB_ID": "43"}),
        (PMIX, {"PMIX_NAMESPACE": "slurm.pmix.42.1"}),
    ],
)
def test_another_launch_has_another_word(environ: dict[str, str], changed: dict[str, str]) -> None:
    one, other = find_ranks(environ), find_ranks({**environ, **changed})
    assert one is not None
    assert other is not None
    assert one.launch != other.launch


def test_tasks_on_several_nodes_that_share_nothing_have_no_word() -> None:
    found = find_ranks({**MPICH, "MPI_LOCALNRANKS": "2"})
    assert found is not None
    assert found.launch == ""
    with_job = find_ranks({**MPICH, "MPI_LOCALNRANKS": "2", "PBS_JOBID": "7.server"})
    assert with_job is not None
    assert with_job.launch


@pytest.mark.parametrize("wrong", [{"PMI_RANK": "x"}, {"PMI_RANK": "4"}, {"PMI_SIZE": "0"}])
def test_what_cannot_be_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(LaunchError, match="PMI says that this is task"):
        find_ranks({**MPICH, **wrong})
