"""A user's own certificates in the place of those that a cluster would make for itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc.errors import SecurityError
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from distributed import Security


def give_certificates(security: Security, directory: Path) -> None:
    """Write the certificates and keys of an object of distributed's into a cluster's directory.

    Raises
    ------
    SecurityError
        If one of them is not there.
    """
    files = TLSFiles(directory)
    _write(files.authority, security.tls_ca_file, name="tls_ca_file")
    for role in Role:
        for kind, path in (("cert", files.certificate(role)), ("key", files.key(role))):
            name = f"tls_{role}_{kind}"
            _write(path, getattr(security, name), name=name)


def _write(path: Path, said: str | None, *, name: str) -> None:
    if not said:
        raise SecurityError(
            f"security has no {name}", hint="give all roles, or none: then dask-hpc makes its own"
        )
    # Either a path or, in a temporary one, the text itself.
    text = said if "\n" in said else Path(said).expanduser().read_text(encoding="utf-8")
    path.write_text(text, encoding="utf-8")  # it keeps the mode of the file that was there
