"""Nothing but the commands of a batch system is run for somebody else."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from dask_hpc.batch.local import Local
from dask_hpc.batch.model import JobId, JobSpec, Resources, Tag
from dask_hpc.batch.programs import is_in_job, programs_of
from dask_hpc.batch.sge import SGE
from dask_hpc.batch.slurm import Slurm
from dask_hpc.errors import BatchError
from dask_hpc.plugins import BATCH_SYSTEMS, load, names
from dask_hpc.process.runner import Command
from dask_hpc.testing.dialect import FakeDialect

if TYPE_CHECKING:
    from dask_hpc.batch.system import BatchSystem

JOB = JobSpec(
    tag=Tag("climate-abcd2345"),
    resources=Resources(cores=4, memory=2**30, walltime=600.0),
    body="true",
    log="/tmp/log",
)
IDS = [JobId("1"), JobId("2")]
SYSTEMS = [
    *(Slurm(), Slurm(has_accounting=False), Local(cores=3, memory=2**30), FakeDialect()),
    *(load(BATCH_SYSTEMS, name).from_facts({}) for name in names(BATCH_SYSTEMS)),
]


def all_commands(system: BatchSystem) -> list[Command]:
    return [
        system.submit_command(JOB),
        system.submit_command(JOB, 30),
        system.status_command("me", [JOB.tag]),
        system.status_command("me", []),
        *system.history_commands(IDS),
        *system.cancel_commands(IDS),
        system.queues_command(),
    ]


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
def test_every_command_of_a_system_is_its_own(system: BatchSystem) -> None:
    programs = programs_of(system)
    assert [programs.own(each) for each in all_commands(system)] == all_commands(system)


def test_the_programs_are_those_that_the_dialect_asks_for() -> None:
    names = {"sbatch", "squeue", "scancel", "sinfo"}
    assert programs_of(Slurm(has_accounting=False)).names == names
    assert programs_of(Slurm()).names == names | {"sacct"}
    assert programs_of(Local()).names == frozenset()


@pytest.mark.parametrize("system", SYSTEMS, ids=lambda system: system.name)
@pytest.mark.parametrize(
    "argv",
    [
        ("rm", "-rf", "/"),
        ("/bin/sh", "-c", "sbatch"),
        ("./sbatch",),
        ("/tmp/sbatch",),
        ("sbatch ",),
        ("",),
        (),
        (sys.executable, "-c", "print()"),
        (sys.executable, "-I", "-S", "-X", "utf8", "/tmp/localqueue/__main__.py", "status"),
    ],
)
def test_nothing_else_is(system: BatchSystem, argv: tuple[str, ...]) -> None:
    with pytest.raises(BatchError, match=f"is no command of {system.name}, and was not run"):
        programs_of(system).own(Command(argv=argv))


def test_a_shell_runs_the_dialects_own_script_alone() -> None:
    programs = programs_of(SGE())
    asked = SGE().status_command("me", [Tag("a"), Tag("b")])
    assert programs.own(asked) == asked
    assert "sh" not in programs.names
    for changes in (
        {"stdin": "qstat; touch alas"},
        {"stdin": f"{asked.stdin}touch alas\n"},
        {"stdin": ""},
        {"argv": ("sh", "-c", "touch alas", *asked.argv[1:])},
        {"argv": ("sh", "-x", *asked.argv[1:])},
        {"argv": ("sh", "-s")},
        {"argv": ("sh",)},
        {"argv": ("bash", *asked.argv[1:])},
        {"env": {"ENV": "/tmp/alas"}},
        {"env": {"BASH_ENV": "/tmp/alas"}},
    ):
        with pytest.raises(BatchError, match="is no command of sge, and was not run"):
            programs.own(replace(asked, **changes))


def test_a_variable_that_could_make_another_program_of_it_is_refused() -> None:
    programs = programs_of(Slurm())
    programs.own(Command(argv=("squeue",), env={"LC_ALL": "C"}))
    for name in ("PATH", "LD_PRELOAD", "SLURM_CONF"):
        with pytest.raises(BatchError, match=f"squeue with {name} set is no command of slurm"):
            programs.own(Command(argv=("squeue",), env={name: "/tmp", "LC_ALL": "C"}))


def test_the_python_of_whoever_asks_is_replaced_by_ours() -> None:
    asked = Local(python="/env/of/the/jobs/bin/python3").queues_command()
    assert programs_of(Local()).own(asked) == Local().queues_command()


def test_what_is_not_installed_here_is_known() -> None:
    assert programs_of(FakeDialect()).missing == ("fake",)
    assert programs_of(Local()).missing == ()


@pytest.mark.parametrize(
    ("system", "variable"), [(Slurm(), "SLURM_JOB_ID"), (Local(), "DASK_HPC_LOCAL_JOB_ID")]
)
def test_a_process_of_a_job_is_known_by_its_variables(system: BatchSystem, variable: str) -> None:
    assert is_in_job(system, {"PATH": "/bin", variable: "36"})
    # Shells set _ to the program that they start.
    assert not is_in_job(system, {"PATH": "/bin", "SLURM_CONF": "/etc/slurm.conf", "_": "/bin/x"})
