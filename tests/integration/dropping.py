"""A cluster in a network of its own, and a client of it in another one; then packets get lost.

``unshare --net python -m tests.integration.dropping HOME SECONDS`` as root. The client is at the
other end of a cable; while packets get lost, both ends address them to nobody.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.integration.places import LocalPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLIENT = """
import json, os, sys, threading, time
from dask_hpc import HPCCluster

def work(number, traces):
    time.sleep(0.1)
    open(f"{traces}/{number}-{os.getpid()}-{time.time_ns()}", "w").close()
    return number * number

def say(**words):
    print(json.dumps(words), flush=True)

name, traces = sys.argv[1:]
sys.stdin.readline()
cluster = HPCCluster.from_name(name)
client = cluster.get_client()
futures = client.map(work, range(100), traces=traces, pure=False)
gathered = []
thread = threading.Thread(target=lambda: gathered.extend(client.gather(futures)))
thread.start()
while sum(future.done() for future in futures) < 50:
    time.sleep(0.02)
say(half=True)
sys.stdin.readline()  # from here on packets get lost
late = client.submit(work, 1000, traces=traces, pure=False)
begin = time.monotonic()
while client.status != "connecting" and time.monotonic() - begin < 100:
    time.sleep(0.1)
say(noticed=time.monotonic() - begin)
sys.stdin.readline()  # and from here on no more
begin = time.monotonic()
results = client.gather(futures)
thread.join(30)
say(
    right=results == gathered == [number * number for number in range(100)],
    late=late.result(timeout=30),
    seconds=time.monotonic() - begin,
    states=sorted({future.status for future in futures}),
)
client.close()
say(left=client.status)
"""
_OURS, _THEIRS = "10.98.0.1", "10.98.0.2"
_NOBODY = "02:00:00:00:00:99"


def main(home: str, seconds: str) -> int:
    """Print what the client says, and how often each task has run."""
    traces = Path(home, "traces")
    traces.mkdir()
    _lay_cable()
    place = LocalPlace(site="local", home=Path(home))
    name = place.name()
    try:
        options = (*place.small_options, "--interface", "ours", "--name", name, "--workers", "2")
        up = place.dask_hpc("up", *options)
        if up.returncode:
            raise RuntimeError(up)
        with _client(place, name, str(traces)) as client:
            print(json.dumps(_story(client, float(seconds))), flush=True)
    finally:
        place.dask_hpc("down", name)
        place.clean()
    print(json.dumps(sorted(int(path.name.partition("-")[0]) for path in traces.iterdir())))
    return 0


def _story(client: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    said: dict[str, Any] = {**_said(client, "")}
    _lose_packets(client)
    begin = time.monotonic()
    said |= _said(client, "packets get lost")
    time.sleep(max(0.0, begin + seconds - time.monotonic()))
    _find_packets(client)
    return said | _said(client, "they do not") | _said(client, "")


def _said(client: subprocess.Popen[str], word: str) -> dict[str, Any]:
    """Tell the client a word, unless it is empty, and return what it says next."""
    assert client.stdin
    assert client.stdout
    if word:
        client.stdin.write(f"{word}\n")
        client.stdin.flush()
    said: dict[str, Any] = json.loads(client.stdout.readline())
    return said


@contextmanager
def _client(place: LocalPlace, name: str, traces: str) -> Iterator[subprocess.Popen[str]]:
    program = ("unshare", "--net", sys.executable, "-c", _CLIENT, name, traces)
    process = place.start(*program, stdin=subprocess.PIPE, stderr=None)
    try:
        _plug_in(process)
        assert process.stdin
        process.stdin.write("the cable is there\n")
        process.stdin.flush()
        yield process
    finally:
        process.kill()
        process.communicate()


# the cable ---------------------------------------------------------------------------------------


def _lay_cable() -> None:
    _ip("link set lo up")
    _ip("link add ours type veth peer name theirs")
    _ip(f"addr add {_OURS}/24 dev ours")
    _ip("link set ours up")


def _plug_in(client: subprocess.Popen[str]) -> None:
    own = Path("/proc/self/ns/net").readlink()
    theirs = Path(f"/proc/{client.pid}/ns/net")
    deadline = time.monotonic() + 10
    while theirs.readlink() == own and time.monotonic() < deadline:
        time.sleep(0.01)
    _ip(f"link set theirs netns {client.pid}")
    for words in ("link set lo up", f"addr add {_THEIRS}/24 dev theirs", "link set theirs up"):
        _ip(words, client)


def _lose_packets(client: subprocess.Popen[str]) -> None:
    _ip(f"neigh replace {_THEIRS} lladdr {_NOBODY} dev ours nud permanent")
    _ip(f"neigh replace {_OURS} lladdr {_NOBODY} dev theirs nud permanent", client)


def _find_packets(client: subprocess.Popen[str]) -> None:
    _ip(f"neigh del {_THEIRS} dev ours")
    _ip(f"neigh del {_OURS} dev theirs", client)


def _ip(words: str, client: subprocess.Popen[str] | None = None) -> None:
    there = ["nsenter", "--target", str(client.pid), "--net"] if client else []
    subprocess.run([*there, "ip", *words.split()], check=True, timeout=10)


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
