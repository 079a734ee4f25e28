"""Accepts connections in one network namespace and serves each with a program outside of it.

Usage: inetd.py NAMESPACE ADDRESS PORT PROGRAM [ARGUMENT...]; NAMESPACE is a file, or "-": this one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import sys

CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter(namespace: str) -> None:
    """Change to a network namespace."""
    descriptor = os.open(namespace, os.O_RDONLY)
    try:
        if _LIBC.setns(descriptor, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), f"setns {namespace}")
    finally:
        os.close(descriptor)


def listen(namespace: str, address: str, port: int) -> socket.socket:
    """Return a socket of that namespace; it stays one of it wherever we go."""
    home = f"/proc/self/fd/{os.open('/proc/self/ns/net', os.O_RDONLY)}"
    if namespace != "-":
        enter(namespace)
    listener = socket.create_server((address, port), backlog=128)
    if namespace != "-":
        enter(home)
    return listener


def main() -> None:
    """Serve until killed."""
    namespace, address, port, *program = sys.argv[1:]
    listener = listen(namespace, address, int(port))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.write("listening\n")
    sys.stdout.flush()
    while True:
        connection, _ = listener.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listener.close()
            for descriptor in (0, 1):  # the third stays the log
                os.dup2(connection.fileno(), descriptor)
            os.execvp(program[0], program)
        connection.close()


if __name__ == "__main__":
    main()
