"""Variables that let ``Client()`` find a cluster, without an argument. Paths, never a key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from dask_hpc.cluster.spec import ClusterSpec

# For a program that has nothing to do with any other scheduler.
ENCRYPTED_ONLY = {"DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True"}


def client_environment(spec: ClusterSpec, address: str) -> dict[str, str]:
    """Return the environment of a program that uses the cluster with this address."""
    found = {"DASK_SCHEDULER_ADDRESS": address}
    if spec.secure:
        files = TLSFiles(ClusterDirectory(spec.directory).tls)
        found |= {
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(files.authority),
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": str(files.certificate(Role.CLIENT)),
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__KEY": str(files.key(Role.CLIENT)),
        }
    return found
