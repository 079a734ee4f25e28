"""What is set for the network and the storage of jobs, checked before anything is submitted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dask_hpc._units import counted
from dask_hpc.cluster.network import contact
from dask_hpc.cluster.spec import PORTS_OF_A_WORKER
from dask_hpc.cluster.storage import not_absolute
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from dask_hpc.sites.site import Site

_ANY_ADDRESS = "tls://127.0.0.1:1"


def check_places(site: Site, *, processes: int) -> None:
    """Refuse what no job could use, whatever its node is like.

    Raises
    ------
    ConfigError
        With the place where it is written.
    """
    settings = site.settings
    _check_ports(site, processes)
    directory, address = settings.local_directory, settings.contact_address
    if directory is not None and directory[:1] not in ("/", "$"):
        raise _placed(site, "local_directory", error=not_absolute(directory))
    if address is not None and "$" not in address:  # what variables are, only a job knows
        try:
            contact(address, _ANY_ADDRESS)
        except ConfigError as error:
            raise _placed(site, "contact_address", error=error) from None


def _check_ports(site: Site, processes: int) -> None:
    ports = site.settings.ports
    if ports is None:
        return
    first, _, last = ports.partition(":")
    count = int(last or first) - int(first) + 1
    wanted = PORTS_OF_A_WORKER * processes
    if count < wanted:
        raise ConfigError(
            f"{site.said.where('ports')} {ports!r} has {counted(count, 'port')}, and "
            f"{counted(processes, 'worker')} of a node need {wanted}",
            hint="each worker has a nanny that listens, too: give a wider range, or fewer "
            "processes",
        )


def _placed(site: Site, name: str, *, error: ConfigError) -> ConfigError:
    """Return an error with the place where the setting is written."""
    return ConfigError(f"{site.said.where(name)}{str(error).removeprefix(name)}", hint=error.hint)
