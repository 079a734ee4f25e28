"""The way from a call to a site with everything that is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import dask
import pytest

from dask_hpc.errors import ConfigError
from dask_hpc.sites.settings import from_keywords, from_options
from dask_hpc.sites.site import find_site
from dask_hpc.testing import ScriptedRunner

if TYPE_CHECKING:
    from tests.sites.conftest import WriteProfile


def slurm_here() -> ScriptedRunner:
    runner = ScriptedRunner()
    runner.answer("sinfo", stdout="slurm 23.11.10\n")
    runner.answer("sacct")
    return runner


async def test_a_site_that_is_named_is_not_detected() -> None:
    runner = slurm_here()
    site = await find_site(runner, from_keywords({"site": "local"}))
    assert (site.name, site.system, site.reason, site.facts) == (
        "local",
        "local",
        "site names it",
        {},
    )
    assert runner.commands == []


@pytest.mark.parametrize("source", ["option", "environment", "dask"])
async def test_the_reason_says_who_named_the_site(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "option":
        site = await find_site(slurm_here(), from_options({"site": "local"}))
        assert site.reason == "--site names it"
    elif source == "environment":
        monkeypatch.setenv("DASK_HPC__SITE", "local")
        assert (await find_site(slurm_here())).reason == "DASK_HPC__SITE names it"
    else:
        with dask.config.set({"hpc.site": "local"}):
            assert (await find_site(slurm_here())).reason == "hpc.site names it"


async def test_a_site_that_nobody_names_is_detected_with_its_facts() -> None:
    site = await find_site(slurm_here(), from_keywords({"cores": 4}))
    assert (site.name, site.system) == ("slurm", "slurm")
    assert site.reason == "slurm 23.11.10 is installed here"
    assert site.facts == {"version": "23.11.10", "accounting": "yes"}
    assert site.settings.cores == 4


async def test_a_profile_may_bring_another_name_for_a_batch_system(users: WriteProfile) -> None:
    users("alpine", "system: slurm\nqueue: cpu\n")
    site = await find_site(slurm_here(), from_keywords({"site": "alpine"}))
    assert (site.name, site.system, site.settings.queue) == ("alpine", "slurm", "cpu")
    assert site.facts["version"] == "23.11.10"


async def test_the_local_queue_knows_its_size_only_if_it_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DASK_HPC__LOCAL__CORES", "16")
    monkeypatch.setenv("DASK_HPC__LOCAL__MEMORY", "4GB")
    monkeypatch.setenv("DASK_HPC__LOCAL__GRACE", "2s")
    site = await find_site(ScriptedRunner(), from_keywords({"site": "local"}))
    assert site.facts == {"cores": "16", "memory": "4000000000", "grace": "2.0"}


async def test_a_site_that_is_not_known_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^site 'slrm' is unknown$"):
        await find_site(ScriptedRunner(), from_keywords({"site": "slrm"}))
