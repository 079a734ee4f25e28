"""The file that says where a scheduler is: `distributed.Client(scheduler_file=...)` reads it.

It is for programs that know nothing of clusters by name. Besides what distributed writes there it
has the keywords of the `distributed.Security` that lets in: paths of files, and no secret.
"""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dask_hpc._files import read_private, write_private
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.errors import SecurityError
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from pathlib import Path

    from distributed import Scheduler

    from dask_hpc.cluster.spec import ClusterSpec

logger = logging.getLogger(__name__)


def write_scheduler_file(spec: ClusterSpec, scheduler: Scheduler, *, nonce: str) -> None:
    """Replace the file that the spec names, if it names one; the cluster lives without it."""
    if spec.scheduler_file is None:
        return
    facts = {
        **scheduler.identity(),
        "address": scheduler.contact_address or scheduler.address,
        "cluster": spec.name,
        "nonce": nonce,
        "security": _security(spec),
    }
    try:
        write_private(spec.scheduler_file, json.dumps(facts, indent=2, default=str) + "\n")
    except OSError as error:
        logger.warning("the scheduler file cannot be written: %s", error)


def remove_scheduler_file(path: Path | None, *, nonce: str) -> None:
    """Remove the file of a scheduler that has ended; one of another scheduler stays."""
    if path is not None and nonce:
        with suppress(OSError, ValueError, TypeError, KeyError, SecurityError):
            if json.loads(read_private(path))["nonce"] == nonce:
                path.unlink()


def _security(spec: ClusterSpec) -> dict[str, Any]:
    if not spec.secure:
        return {"require_encryption": False}
    files = TLSFiles(ClusterDirectory(spec.directory).tls)
    return {
        "require_encryption": True,
        "tls_ca_file": str(files.authority),
        "tls_client_cert": str(files.certificate(Role.CLIENT)),
        "tls_client_key": str(files.key(Role.CLIENT)),
    }
