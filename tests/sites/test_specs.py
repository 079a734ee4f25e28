"""From settings to specs, and everything that is refused on the way."""

from __future__ import annotations

import math
import sys
import venv
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dask_hpc.batch.local import Local
from dask_hpc.batch.slurm import Slurm
from dask_hpc.cluster.spec import Home
from dask_hpc.errors import ConfigError, SoftwareError
from dask_hpc.localqueue import machine
from dask_hpc.sites.layer import Layer
from dask_hpc.sites.profile import site_settings
from dask_hpc.sites.settings import Settings, from_keywords
from dask_hpc.sites.site import Site
from dask_hpc.sites.specs import (
    batch_system,
    check_keywords,
    cluster_spec,
    new_name,
    processes_of,
    resolve_spec,
    scheduler_resources,
    user_name,
    wanted_resources,
    worker_resources,
)
from dask_hpc.software.activate import activation
from dask_hpc.testing import ScriptedRunner

if TYPE_CHECKING:
    from dask_hpc.cluster.spec import ClusterSpec
    from tests.sites.conftest import WriteProfile

GIB = 2**30
LIMITED = """\
system: slurm
queues:
  cpu:
    max_walltime: 24h
    cores: 64
    memory: 200 GiB
  debug: {max_walltime: 30 min}
"""


def site(name: str = "slurm", **keywords: Any) -> Site:
    layer = from_keywords(keywords) if keywords else Layer()
    return Site(name=name, reason="", said=site_settings(name, layer))


def names_in(path: Path) -> list[str]:
    return [entry.name for entry in path.iterdir()]


def spec(home: Home = Home.JOB, **keywords: Any) -> ClusterSpec:
    return cluster_spec(
        site(**keywords), name="c", home=home, directory=Path("/h/clusters/c"), user="u"
    )


def test_a_site_has_the_dialect_of_its_batch_system() -> None:
    assert isinstance(batch_system(site("slurm")), Slurm)
    assert isinstance(batch_system(site("local")), Local)


def test_a_spec_holds_every_setting_resolved() -> None:
    found = spec(
        cores=36, memory="100GB", walltime="2h", queue="premium", account="p7", processes=4,
        interface="ib0", ports="8700:8799", local_directory="$TMPDIR", directives=["--exclusive"],
        prologue="module load x", drain_timeout="1m", death_timeout=90, idle_timeout="1h",
    )  # fmt: skip
    worker = found.worker
    assert (worker.cores, worker.memory, worker.walltime) == (36, 100 * 10**9, 7200)
    assert (worker.queue, worker.account, worker.directives) == ("premium", "p7", ("--exclusive",))
    assert (found.processes, found.threads, found.memory_limit) == (4, 9, 25 * 10**9)
    assert found.python == sys.executable
    assert found.prologue == ("module load x", *activation(Path(sys.prefix)))
    assert (found.interface, found.scheduler_interface) == ("ib0", None)
    assert (found.ports, found.local_directory) == ("8700:8799", "$TMPDIR")
    assert (found.drain_timeout, found.death_timeout, found.idle_timeout) == (60, 90, 3600)
    assert (found.site, found.system, found.user, found.secure) == ("slurm", "slurm", "u", True)


def test_a_schedulers_job_is_small_and_goes_where_workers_go() -> None:
    job = scheduler_resources(site(cores=36, memory="100GB", walltime="2h", queue="a", account="b"))
    assert (job.cores, job.memory, job.walltime) == (1, 2 * GIB, 7200)
    assert (job.queue, job.account) == ("a", "b")


def test_a_schedulers_job_may_be_given_its_own_resources() -> None:
    job = scheduler_resources(
        site(
            scheduler_cores=2,
            scheduler_memory="8 GiB",
            scheduler_walltime="1d",
            scheduler_queue="s",
        )
    )
    assert (job.cores, job.memory, job.walltime, job.queue) == (2, 8 * GIB, 86400, "s")


def test_memory_goes_with_the_cores() -> None:
    assert worker_resources(site(cores=8)).memory == 16 * GIB


def test_memory_on_the_local_queue_is_the_share_of_the_machine() -> None:
    size = machine.size(machine.Settings())
    assert worker_resources(site("local", cores=1)).memory == size.memory // size.cores
    local = {"cores": 4, "memory": "8 GiB"}
    assert worker_resources(site("local", cores=3, local=local)).memory == 6 * GIB
    assert scheduler_resources(site("local", local=local)).memory == 2 * GIB


@pytest.mark.parametrize(
    ("cores", "processes"),
    [(1, 1), (4, 1), (6, 3), (7, 7), (8, 4), (9, 3), (16, 4), (36, 6), (48, 8), (64, 8), (128, 16)],
)
def test_more_than_four_cores_are_divided_as_distributed_does(cores: int, processes: int) -> None:
    assert processes_of(Settings(cores=cores)) == processes


def test_processes_can_be_set() -> None:
    assert processes_of(Settings(cores=36, processes=1)) == 1


@pytest.mark.parametrize(
    ("keywords", "seconds"),
    [({}, 900), ({"client_lease": "12h"}, 43200)],
)
def test_what_a_dropped_client_wanted_is_kept_for_a_quarter_of_an_hour(
    keywords: dict[str, Any], seconds: float
) -> None:
    assert spec(**keywords).client_lease == seconds


@pytest.mark.parametrize(
    ("home", "keywords", "seconds"),
    [
        (Home.JOB, {}, 1800),
        (Home.HERE, {}, None),
        (Home.JOB, {"idle_timeout": "never"}, None),
        (Home.JOB, {"idle_timeout": math.inf}, None),
        (Home.HERE, {"idle_timeout": "5m"}, 300),
    ],
)
def test_a_detached_cluster_that_is_idle_ends_after_half_an_hour(
    home: Home, keywords: dict[str, Any], seconds: float | None
) -> None:
    assert spec(home, **keywords).idle_timeout == seconds


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        ({"cores": 2, "processes": 4}, "processes 4 is more than cores 2", "processes share"),
        ({"launcher": "srum"}, "launcher 'srum' is unknown", "did you mean 'srun'?"),
        ({"env": "/nowhere"}, "env '/nowhere': no such directory or interpreter", "give the"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_happens(
    keywords: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        spec(**keywords)
    assert str(caught.value) == message
    assert caught.value.hint.startswith(hint)


def test_jobs_in_a_container_have_one_node() -> None:
    with pytest.raises(ConfigError, match="jobs in a container have one node here, not 2"):
        spec(env="apptainer:/images/a.sif", nodes=2)
    assert spec(env="apptainer:/images/a.sif").wrapper[0] == "apptainer"


def test_an_environment_without_distributed_is_refused(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True)
    with pytest.raises(SoftwareError, match="has no distributed, which workers are"):
        spec(env=str(tmp_path / "bare"))


def test_jobs_of_the_local_queue_have_one_node() -> None:
    with pytest.raises(ConfigError, match="nodes 2: a job of local has one node"):
        worker_resources(site("local", nodes=2))


def test_a_worker_has_a_gpu_unless_something_else_is_said() -> None:
    assert spec(gpus=4, cores=16).processes == 4
    assert spec(gpus=4, cores=2).processes == 2
    assert spec(gpus=4, cores=16, processes=1).processes == 1


def test_each_pool_may_have_a_class_of_workers_of_its_own() -> None:
    found = spec(pools={"gpu": {"worker_class": "dask_cuda.CUDAWorker"}})
    assert found.worker_class is None
    assert found.of("gpu").worker_class == "dask_cuda.CUDAWorker"


def test_any_way_leads_to_jupyterlab_unless_one_is_set() -> None:
    assert spec().route is None
    assert spec(route="job").route == "job"
    with pytest.raises(ConfigError) as error:
        spec(route="srun")
    assert str(error.value) == "route 'srun' is not one of direct, job, ssh, tls"


def test_the_launcher_is_the_systems_own_unless_another_one_is_set() -> None:
    assert spec(nodes=2).launcher == "srun"
    assert spec(nodes=2, launcher="mpirun").launcher == "mpirun"


@pytest.mark.parametrize(
    ("keywords", "message", "hint"),
    [
        ({"queue": "cpus"}, "queue 'cpus' is unknown to site 'alpine'", "did you mean 'cpu'?"),
        ({"queue": "zzz"}, "queue 'zzz' is unknown to site 'alpine'", "its queues are: cpu, debug"),
        (
            {"queue": "cpu", "walltime": "26h"},
            "walltime 1d2h is more than queue 'cpu' of site 'alpine' allows",
            "{path}:4: queues.cpu.max_walltime is 1d",
        ),
        (
            {"queue": "debug"},
            "walltime 1h is more than queue 'debug' of site 'alpine' allows",
            "{path}:7: queues.debug.max_walltime is 30m",
        ),
        (
            {"queue": "cpu", "cores": 128, "memory": "1GB"},
            "cores 128 is more than queue 'cpu' of site 'alpine' allows",
            "{path}:5: queues.cpu.cores is 64",
        ),
        (
            {"queue": "cpu", "memory": "1 TiB"},
            "memory 1 TiB is more than queue 'cpu' of site 'alpine' allows",
            "{path}:6: queues.cpu.memory is 200 GiB",
        ),
        (
            {"queue": "cpu", "scheduler_queue": "debug"},
            "walltime 1h is more than queue 'debug' of site 'alpine' allows",
            "{path}:7: queues.debug.max_walltime is 30m",
        ),
        (
            {"queue": "cpu", "scheduler_walltime": "2d"},
            "scheduler_walltime 2d is more than queue 'cpu' of site 'alpine' allows",
            "{path}:4: queues.cpu.max_walltime is 1d",
        ),
        (
            {"queue": "cpu", "scheduler_queue": "gpu"},
            "scheduler_queue 'gpu' is unknown to site 'alpine'",
            "did you mean 'cpu'?",
        ),
    ],
)
def test_what_a_queue_does_not_allow_is_refused_with_the_limit(
    users: WriteProfile, keywords: dict[str, Any], message: str, hint: str
) -> None:
    path = users("alpine", LIMITED)
    with pytest.raises(ConfigError) as caught:
        spec(name="alpine", **keywords)
    assert str(caught.value) == message
    assert caught.value.hint == hint.format(path=path)


def test_a_limit_that_is_met_exactly_is_no_limit(users: WriteProfile) -> None:
    users("alpine", LIMITED)
    worker = spec(name="alpine", queue="cpu", walltime="24h", cores=64, memory="200 GiB").worker
    assert (worker.cores, worker.memory, worker.walltime) == (64, 200 * GIB, 86400)


def test_any_queue_is_taken_where_the_profile_lists_none() -> None:
    assert spec(queue="whatever").worker.queue == "whatever"


def test_wanted_resources_are_not_judged(users: WriteProfile) -> None:
    users("alpine", LIMITED)
    assert wanted_resources(site("alpine", queue="zzz", nodes=3)).nodes == 3


async def test_a_call_becomes_a_spec_in_the_directory_of_its_cluster(home: Path) -> None:
    found = await resolve_spec(
        {"cores": 2, "memory": "1GB", "queue": None},
        site="local",
        name="climate",
        home=Home.HERE,
        runner=ScriptedRunner(),
    )
    assert (found.name, found.site, found.worker.cores) == ("climate", "local", 2)
    assert found.directory == home / "clusters" / "climate"
    assert found.user == user_name()
    assert names_in(home) == []


async def test_a_cluster_without_a_name_gets_a_new_one(home: Path) -> None:
    found = await resolve_spec({}, site="local", home=Home.HERE, runner=ScriptedRunner())
    assert found.name.startswith("dask-")
    assert new_name() != new_name()


async def test_a_name_that_cannot_be_a_directory_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^cluster name '\.\./x' cannot be used$"):
        await resolve_spec({}, site="local", name="../x", home=Home.HERE, runner=ScriptedRunner())


@pytest.mark.parametrize(
    ("keyword", "message", "hint"),
    [
        ("coers", "keyword 'coers' is unknown", "did you mean 'cores'?"),
        ("schedular", "keyword 'schedular' is unknown", "did you mean 'scheduler'?"),
    ],
)
def test_an_unknown_keyword_is_refused_with_the_nearest(
    keyword: str, message: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check_keywords({keyword: 1})
    assert (str(caught.value), caught.value.hint) == (message, hint)
    check_keywords({"scheduler_memory": "4GB"})


# where jobs are submitted from, and who is told where the scheduler is ----------------------------


def test_a_site_whose_nodes_may_not_submit_needs_an_agent_for_a_scheduler_in_a_job() -> None:
    assert not spec().has_agent
    assert spec(submit_from="login").has_agent
    assert not spec(Home.HERE, submit_from="login").has_agent


def test_from_where_else_jobs_could_be_submitted_is_asked() -> None:
    with pytest.raises(ConfigError) as error:
        spec(submit_from="laptop")
    assert str(error.value) == "submit_from 'laptop' is not one of login, node"


def test_a_profile_says_it_too(users: WriteProfile) -> None:
    users("alpine", "system: slurm\nsubmit_from: login\n")
    found = cluster_spec(site("alpine"), name="x", home=Home.JOB, directory=Path("/x"), user="me")
    assert found.has_agent
    path = users("alpine", "system: slurm\nsubmit_from: laptop\n")
    with pytest.raises(ConfigError, match=f"{path}:2: submit_from 'laptop' is not one of"):
        site("alpine")


def test_the_scheduler_file_is_meant_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert spec().scheduler_file is None
    assert spec(scheduler_file="s.json").scheduler_file == tmp_path / "s.json"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert spec(scheduler_file="~/s.json").scheduler_file == tmp_path / "s.json"


@pytest.mark.parametrize("name", ["/nowhere/s.json", "/tmp", "/etc/passwd/s.json"])
def test_a_scheduler_file_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=f"scheduler_file '{name}' (cannot be|is a directory)"):
        spec(scheduler_file=name)
