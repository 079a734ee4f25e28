"""``scheduler_options``: what of them our scheduler has as settings, what is in vain."""

from __future__ import annotations

import socket
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Mapping

# The dashboard has a port of its own choice behind a link that opens it; TLS is always there.
_OTHERWISE = ("dashboard_address", "dashboard", "protocol", "security", "loop", "name")
_SETTINGS = ("idle_timeout", "contact_address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a scheduler listens, and its settings."""

    settings: dict[str, Any]
    port: int | None = None
    host: str | None = None


def place_of(options: Mapping[str, Any]) -> Place:
    """Return what the options mean here; warn of those that mean nothing."""
    settings = {name: options[name] for name in _SETTINGS if options.get(name) is not None}
    host = options.get("host")
    settings["scheduler_interface"] = options.get("interface") or _interface_of(host)
    known = ("interface", "port", "host", *_SETTINGS, *_OTHERWISE)
    vain = sorted(name for name in options if name not in known)
    if vain:
        warnings.warn(
            f"scheduler_options {', '.join(vain)} have no effect: the scheduler is dask-hpc's",
            UserWarning,
            stacklevel=4,
        )
    port = options.get("port")
    return Place(settings=settings, port=int(port) if port else None, host=host)


def _interface_of(host: str | None) -> str | None:
    """Return the network interface of this machine that has an address."""
    if not host:
        return None
    try:
        ips = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return None
    for name, addresses in psutil.net_if_addrs().items():
        if any(address.address in ips for address in addresses):
            return str(name)
    return None
