"""Where a cluster's certificates and keys lie, and whether they are still ours alone."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from dask_hpc._files import check_private
from dask_hpc.errors import SecurityError

if TYPE_CHECKING:
    from pathlib import Path


class Role(StrEnum):
    """What a certificate is for; each one serves as client and as server of a connection."""

    SCHEDULER = "scheduler"
    WORKER = "worker"
    CLIENT = "client"


@dataclass(frozen=True, slots=True)
class TLSFiles:
    """The paths below a cluster's ``tls`` directory. They are passed on, never the text."""

    directory: Path

    @property
    def authority(self) -> Path:
        """The certificate that signed the others; its key was never written."""
        return self.directory / "ca.pem"

    def certificate(self, role: Role) -> Path:
        """Return the path of a role's certificate."""
        return self.directory / f"{role}.pem"

    def key(self, role: Role) -> Path:
        """Return the path of a role's key."""
        return self.directory / f"{role}-key.pem"

    @property
    def all(self) -> tuple[Path, ...]:
        """Every file that a cluster has."""
        pairs = ((self.certificate(role), self.key(role)) for role in Role)
        return (self.authority, *(path for pair in pairs for path in pair))

    def check(self) -> None:
        """Refuse files that others could have read or written.

        Raises
        ------
        SecurityError
            If one of them, or the directory, is missing, open to others, somebody else's, or a
            symbolic link.
        """
        for path in (self.directory, *self.all):
            try:
                check_private(path)
            except FileNotFoundError:
                raise SecurityError(
                    f"{path} is missing", hint="the cluster was ended, or its directory cleaned"
                ) from None
