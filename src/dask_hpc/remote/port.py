"""A port of a session's node that opens to the cluster's keys alone: the last way to JupyterLab.

Both ends need the standard library alone, and each of them must have a certificate of the cluster's
own authority before a byte is passed on.

``python -m dask_hpc.remote.port open --directory DIR`` on the node
``python -m dask_hpc.remote.port reach --directory DIR`` carries connections to it, as a relay does
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import ssl
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc._files import read_record, write_record
from dask_hpc._hosts import host_name
from dask_hpc.cluster.directory import ClusterDirectory
from dask_hpc.cluster.network import family_of, host_of, look, named
from dask_hpc.cluster.record import read_cluster, read_spec
from dask_hpc.cluster.session import SessionPort, read_session
from dask_hpc.errors import HPCError, TunnelError
from dask_hpc.remote.relay import CHUNK, connect_own, in_words, relay
from dask_hpc.security.tls_files import Role, TLSFiles

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dask_hpc.cluster.spec import ClusterSpec
    from dask_hpc.remote.relay import Streams

_PATIENCE = 5.0  # seconds for one address, with the greeting
_QUEUE = 64  # connections that wait to be let in


# on the node -------------------------------------------------------------------------------------


async def _serve(directory: ClusterDirectory) -> None:
    """Let who has the cluster's keys at the socket of its session, for ever."""
    listener = listen(read_spec(directory))
    server = await asyncio.start_server(
        _Door(directory).let_in,
        sock=listener,
        ssl=_context(directory, Role.SCHEDULER, server=True),
        ssl_handshake_timeout=_PATIENCE,
    )
    port = listener.getsockname()[1]
    write_record(directory.session_port, SessionPort(node=host_name(), port=port))
    async with server:
        await server.serve_forever()


def listen(spec: ClusterSpec) -> socket.socket:
    """Return a socket that listens where the cluster's settings allow it.

    Raises
    ------
    TunnelError
        If every port of them is in use.
    """
    interface = spec.scheduler_interface
    own = named(look(), interface, setting="scheduler_interface").ip if interface else ""
    both = not own and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else family_of(own)
    for port in _ports(spec.ports):
        with suppress(OSError):
            return socket.create_server(
                (own, port), family=family, backlog=_QUEUE, dualstack_ipv6=both
            )
    raise TunnelError(
        f"every port of {spec.ports} is in use on {host_name()}", hint="give a wider range in ports"
    )


def _ports(ports: str | None) -> Sequence[int]:
    if ports is None:
        return (0,)
    first, _, last = ports.partition(":")
    return range(int(last or first), int(first) - 1, -1)  # scheduler and workers begin below


@dataclass(frozen=True, slots=True)
class _Door:
    """Leads to the socket of a session, wherever that is at the time."""

    directory: ClusterDirectory

    async def let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways for who got past the handshake."""
        try:
            own = await connect_own(str(read_session(self.directory).socket))
        except (OSError, HPCError):
            writer.close()
            return
        await asyncio.gather(_pass_on(reader, own[1]), _pass_on(own[0], writer))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()  # after all of it was sent; then the other way ends, too


# where the user is -------------------------------------------------------------------------------


class Reach:
    """Connects to the port of a session, at the first of its addresses that answers.

    Parameters
    ----------
    directory
        The cluster's.
    """

    def __init__(self, directory: ClusterDirectory) -> None:
        self._directory = directory
        self._context = _context(directory, Role.CLIENT, server=False)
        self._hosts: tuple[str, ...] = ()  # that have answered before

    async def connect(self) -> Streams:
        """Return a new connection.

        Raises
        ------
        TunnelError
            If no address answers, with what each of them says; or if there is no such port.
        """
        found = _port_of(self._directory)
        hosts = [host_of(address) for address in read_cluster(self._directory).addresses]
        against: list[str] = []
        for tried in (self._hosts, tuple(dict.fromkeys([*hosts, found.node]))):
            against = []
            trials = {asyncio.ensure_future(self._at(host, found.port)): host for host in tried}
            while trials:
                done, _ = await asyncio.wait(trials, return_when=asyncio.FIRST_COMPLETED)
                trial = done.pop()
                host = trials.pop(trial)
                if error := trial.exception():
                    against.append(str(error))
                    continue
                self._hosts = (host,)
                _drop(trials)
                return trial.result()
        hint = "a firewall may be between them: ports names those that it lets through"
        raise TunnelError("; ".join(against), hint=hint)

    async def _at(self, host: str, port: int) -> Streams:
        place = f"{host} port {port}"
        try:
            connecting = asyncio.open_connection(host, port, ssl=self._context)
            return await asyncio.wait_for(connecting, _PATIENCE)
        except TimeoutError:
            raise TunnelError(f"{place}: no answer in {_PATIENCE:g} s") from None
        except OSError as error:
            raise TunnelError(f"{place}: {in_words(error)}") from None


def _drop(trials: Iterable[asyncio.Task[Streams]]) -> None:
    for each in trials:
        each.cancel()
        each.add_done_callback(_close)


def _close(trial: asyncio.Task[Streams]) -> None:
    if not trial.cancelled() and not trial.exception():
        trial.result()[1].close()


def _port_of(directory: ClusterDirectory) -> SessionPort:
    spec, session = read_spec(directory), read_session(directory)
    if not spec.secure or spec.loopback:
        why = "it is on this machine alone" if spec.loopback else "the cluster has no certificates"
        raise TunnelError(f"no port leads to it: {why}")
    try:
        found = read_record(directory.session_port, SessionPort)
    except FileNotFoundError:
        found = SessionPort(node="", reason="its node has not opened one")
    if found.port and found.node == session.node:
        return found
    raise TunnelError(
        f"no port leads to it: {found.reason or f'the last one was on {found.node}'}",
        hint=f"dask-hpc logs {directory.path.name}",
    )


def _context(directory: ClusterDirectory, role: Role, *, server: bool) -> ssl.SSLContext:
    files = TLSFiles(directory.tls)
    files.check()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False  # the authority is this cluster's own: names say nothing more
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(files.authority)
    context.load_cert_chain(files.certificate(role), files.key(role))
    return context


async def _reach(directory: ClusterDirectory) -> None:
    _port_of(directory)  # which says best why there is none
    await relay(Reach(directory).connect)


def main(arguments: Sequence[str] | None = None) -> int:
    """Open the port of a session, or carry connections to it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("end", choices=("open", "reach"))
    parser.add_argument("--directory", type=Path, required=True)
    options, _ = parser.parse_known_args(arguments)
    directory = ClusterDirectory(options.directory)
    try:
        asyncio.run(_serve(directory) if options.end == "open" else _reach(directory))
    except (HPCError, OSError) as error:
        reason = str(error)
        if options.end == "open":
            with suppress(OSError):
                write_record(directory.session_port, SessionPort(node=host_name(), reason=reason))
        hint = f"\nhint: {error.hint}" if isinstance(error, HPCError) and error.hint else ""
        sys.stderr.write(f"{reason}{hint}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
