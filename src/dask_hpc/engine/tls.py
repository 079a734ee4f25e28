"""The certificates of a cluster, as distributed wants them. Paths, never the text of a key."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from distributed import Security

from dask_hpc.engine.tls_sockets import keep_apart
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from pathlib import Path
    from ssl import SSLContext

# Every role but the client's is needed by the jobs; the files are the same for all of them.
_ROLES = (Role.SCHEDULER, Role.WORKER, Role.CLIENT)


class ClusterSecurity(Security):
    """distributed's, which makes each context once: one takes three files, and milliseconds.

    Forked processes go on with the contexts that were made before; copies make their own.
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self._settings = settings
        self._made: dict[tuple[str, str], dict[str, Any]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(ClusterSecurity, **self._settings), ()

    def get_connection_args(self, role: str) -> dict[str, Any]:
        """Return what a role connects with."""
        key = ("connects", role)
        if key not in self._made:
            self._made[key] = super().get_connection_args(role)
            keep_apart(self._made[key]["ssl_context"])
        return dict(self._made[key])

    def get_listen_args(self, role: str) -> dict[str, Any]:
        """Return what a role listens with."""
        key = ("listens", role)
        if key not in self._made:
            self._made[key] = super().get_listen_args(role)
            _expect_strangers(self._made[key]["ssl_context"])
            keep_apart(self._made[key]["ssl_context"])
        return dict(self._made[key])


def _expect_strangers(context: SSLContext | None) -> None:
    """Send no tickets for sessions that go on later: nobody uses them, and they are dear."""
    if context:
        context.num_tickets = 0


def cluster_security(directory: Path, *, secure: bool) -> ClusterSecurity:
    """Return what connects to a cluster, and lets connect, with the certificates of a directory.

    Raises
    ------
    SecurityError
        If a key is not private.
    """
    if not secure:
        return ClusterSecurity(require_encryption=False)
    files = TLSFiles(directory)
    files.check()
    paths = {}
    for role in _ROLES:
        paths[f"tls_{role}_cert"] = str(files.certificate(role))
        paths[f"tls_{role}_key"] = str(files.key(role))
    return ClusterSecurity(require_encryption=True, tls_ca_file=str(files.authority), **paths)
