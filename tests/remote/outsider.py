"""What a user gets hold of on a host: of command lines, files, sockets and ports."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.beds.beds import USER

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.beds.beds import SlurmBed

_PROGRAM = """
import json, os, socket, ssl, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

asked = json.load(sys.stdin)

def lines():
    said = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True).stdout
    return [line for line in said.splitlines() if any(each in line for each in asked["secrets"])]

def opens(path):
    try:
        os.close(os.open(path, os.O_RDONLY))
    except OSError:
        return False
    return True

def connects(path):
    try:
        socket.socket(socket.AF_UNIX).connect(path)
    except OSError:
        return False
    return True

def answers(place):
    address, port, secure = place
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    request = f"GET {asked['page']} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n"
    try:
        with socket.create_connection((address, port), 10) as plain:
            plain.settimeout(2)
            with context.wrap_socket(plain) if secure else plain as link:
                link.sendall(request.encode())
                return " 200 " in link.recv(4096).decode("latin-1").partition("\\r\\n")[0]
    except OSError:
        return False

places = [(*each, secure) for each in asked["ports"] for secure in (False, True)]
with ThreadPoolExecutor(20) as pool:  # many say nothing, and keep the connection
    answered = list(pool.map(answers, places))
print(json.dumps({
    "argv": lines(),
    "files": [path for path in asked["paths"] if opens(path)],
    "sockets": [path for path in asked["sockets"] if connects(path)],
    "ports": [place for place, answer in zip(places, answered) if answer],
}))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Haul:
    """What was got hold of."""

    argv: list[str]
    files: list[str]
    sockets: list[str]
    ports: list[list[object]]

    @property
    def is_empty(self) -> bool:
        """Whether it was nothing."""
        return not (self.argv or self.files or self.sockets or self.ports)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """A host, the directories there that are somebody's own, what is secret, and a page."""

    bed: SlurmBed
    host: str
    roots: Sequence[Path]
    secrets: Sequence[str]
    page: str

    def go(self, user: str) -> Haul:
        """Try, as a user, all that is somebody's own."""
        paths, sockets, ports = self._found(), self._found("-type", "s"), self._ports()
        asked = {"paths": paths, "sockets": sockets, "ports": ports}
        done = self.bed.run(
            *("/usr/bin/python3", "-c", _PROGRAM),
            host=self.host,
            user=user,
            stdin=json.dumps({**asked, "secrets": self.secrets, "page": self.page}),
        )
        return Haul(**json.loads(done.stdout))

    def _found(self, *words: str) -> list[str]:
        roots = map(str, self.roots)
        done = self.bed.run("find", *roots, "-user", USER, *words, host=self.host, check=False)
        return done.stdout.splitlines()

    def _ports(self) -> list[tuple[str, int]]:
        number = self.bed.run("id", "-u", USER).stdout.strip()
        found = []
        for line in self.bed.run("ss", "-Hltne", host=self.host).stdout.splitlines():
            if f"uid:{number}" in line:
                address, _, port = line.split()[3].rpartition(":")
                name = address.partition("%")[0].strip("[]")
                found.append((name.replace("*", "127.0.0.1"), int(port)))
        return found
