"""What an environment holds that must fit: Python, and distributed with what it brings."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from importlib import metadata

from dask_hpc.errors import SoftwareError

PACKAGES = ("distributed", "dask", "cloudpickle", "msgpack")
_OLDEST = (3, 11)
_PATIENCE = 60.0  # seconds: a cold start on a shared file system
_LOOK = f"""
import json, sys
from importlib import metadata
found = {{}}
for name in {PACKAGES!r}:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps([list(sys.version_info[:2]), found]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The Python of an environment (major and minor), and versions of packages by name."""

    python: tuple[int, int]
    packages: dict[str, str]


def here() -> Contents:
    """Return what the environment that runs this holds."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return Contents(python=sys.version_info[:2], packages=found)


def look(python: str) -> Contents:
    """Ask an interpreter of this machine what its environment holds; it takes a tenth of a second.

    Raises
    ------
    SoftwareError
        If it cannot say.
    """
    try:
        done = subprocess.run(
            [python, "-I", "-c", _LOOK],
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            stdin=subprocess.DEVNULL,
            check=True,
        )
        version, packages = json.loads(done.stdout.splitlines()[-1])
        return Contents(python=(version[0], version[1]), packages=packages)
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, TypeError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()
        raise SoftwareError(
            f"{python} does not say what it holds: {said[-1] if said else error}",
            hint=f"try {python} -c 'import distributed'",
        ) from None


def check(python: str, contents: Contents, *, client: Contents) -> tuple[str, ...]:
    """Return how an environment differs from the client's in what both should have alike.

    Raises
    ------
    SoftwareError
        If no worker can run there.
    """
    if contents.python < _OLDEST:
        version, oldest = _dotted(contents.python), _dotted(_OLDEST)
        raise SoftwareError(
            f"{python} is Python {version}; workers need {oldest} or newer",
            hint="name another env",
        )
    if "distributed" not in contents.packages:
        raise SoftwareError(
            f"the environment of {python} has no distributed, which workers are",
            hint=f"{python} -m pip install distributed, or conda install distributed",
        )
    return tuple(_differences(contents, client))


def check_lab(python: str) -> None:
    """Refuse an environment without JupyterLab, before anything waits for it.

    Raises
    ------
    SoftwareError
        With how to get it.
    """
    question = "import importlib.util as u; print(u.find_spec('jupyterlab') is not None)"
    done = subprocess.run(
        [python, "-c", question],
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.stdout.split()[-1:] != ["True"]:
        raise SoftwareError(
            f"the environment of {python} has no jupyterlab",
            hint=f"{python} -m pip install 'dask-hpc[lab]', or --env names one that has it",
        )


def _differences(contents: Contents, client: Contents) -> list[str]:
    found = []
    if contents.python != client.python:
        found.append(f"Python {_dotted(contents.python)}, here {_dotted(client.python)}")
    found += [
        f"{name} {contents.packages.get(name, 'missing')}, here {version}"
        for name, version in client.packages.items()
        if contents.packages.get(name) != version
    ]
    return found


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))
