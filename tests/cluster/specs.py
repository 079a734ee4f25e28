"""A cluster's spec for tests, complete and small."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from dask_hpc.batch.model import Resources
from dask_hpc.cluster.spec import ClusterSpec, Home

GB = 10**9


def a_spec(**settings: Any) -> ClusterSpec:
    """Return a cluster named climate-2 with two workers a job, and these settings."""
    plain = ClusterSpec(
        name="climate-2",
        site="fake",
        system="fake",
        user="me",
        home=Home.JOB,
        directory=Path("/state/clusters/climate-2"),
        worker=Resources(cores=4, memory=16 * GB, walltime=3600.0),
        scheduler=Resources(cores=1, memory=2 * GB, walltime=7200.0),
        processes=2,
        python="/env/bin/python",
    )
    return replace(plain, **settings)
