"""Which GPUs of a node each of its workers may see."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dask_hpc.cluster.spec import ClusterSpec

# NVIDIA's and AMD's: https://rocm.docs.amd.com/en/latest/conceptual/gpu-isolation.html
_VARIABLES = ("CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")


def gpus_of(
    worker: int, spec: ClusterSpec, *, environ: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the variables that show a worker its own GPUs: an equal part of the node's.

    Parameters
    ----------
    worker
        Its number on the node, from 0.
    spec
        What its job has; without GPUs there are no such variables. More workers than GPUs share
        them in turn.
    environ
        What the batch system says: the names of the job's GPUs, or nothing for all of the node.
    """
    count = spec.worker.gpus
    if not count:
        return {}
    said = {name: environ[name].split(",") for name in _VARIABLES if environ.get(name)}
    everything = [str(number) for number in range(count)]
    return {
        name: ",".join(_part(devices, worker, of=spec.processes))
        for name, devices in (said or dict.fromkeys(_VARIABLES, everything)).items()
    }


def _part(devices: list[str], worker: int, *, of: int) -> list[str]:
    if of >= len(devices):
        return [devices[worker % len(devices)]]
    share = len(devices) // of
    return devices[worker * share : (worker + 1) * share]
