"""The certificates of a cluster, as distributed wants them. Paths, never the text of a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distributed import Security

from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from pathlib import Path

# Every role but the client's is needed by the jobs; the files are the same for all of them.
_ROLES = (Role.SCHEDULER, Role.WORKER, Role.CLIENT)


def cluster_security(directory: Path, *, secure: bool) -> Security:
    """Return what connects to a cluster, and lets connect, with the certificates of a directory.

    Raises
    ------
    SecurityError
        If a key is not private.
    """
    if not secure:
        return Security(require_encryption=False)
    files = TLSFiles(directory)
    files.check()
    paths = {}
    for role in _ROLES:
        paths[f"tls_{role}_cert"] = str(files.certificate(role))
        paths[f"tls_{role}_key"] = str(files.key(role))
    return Security(require_encryption=True, tls_ca_file=str(files.authority), **paths)
