"""What a submission takes from the process that makes it: script, environment, directory."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from dask_hpc.errors import ConfigError
from dask_hpc.localqueue.model import Submission
from dask_hpc.localqueue.options import read_directives, read_request, read_words

if TYPE_CHECKING:
    from collections.abc import Sequence


def read_submission(script: bytes, words: Sequence[str]) -> Submission:
    """Return what is to be submitted; the words of the command line win over the script's.

    Raises
    ------
    ConfigError
        If it cannot be read, or asks for what this machine does not have.
    """
    text = _read_script(script)
    request = read_request({**read_directives(text), **read_words(words)})
    return Submission(
        tag=request.name,
        count=request.count,
        cores=request.cores,
        memory=request.memory,
        walltime=request.walltime,
        output=request.output,
        comment=request.comment,
        after=request.after,
        script=text,
        environ=dict(os.environ),  # a job's own variables are set anew in the next one
        directory=_directory(request.output),
        umask=_umask(),
    )


def _read_script(content: bytes) -> str:
    try:
        script = content.decode()
    except UnicodeDecodeError as error:
        raise ConfigError(f"the script is not UTF-8: {error}", hint="iconv converts it") from None
    first = script.partition("\n")[0]
    if not first.startswith("#!") or not first[2:].strip():
        raise ConfigError(
            f"the script begins with {first[:40]!r}", hint='its first line is as in "#!/bin/sh"'
        )
    if "\0" in script or first.endswith("\r"):
        raise ConfigError(
            "the script has null characters or the line ends of DOS", hint="dos2unix converts it"
        )
    return script


def _directory(output: str) -> str:
    try:
        directory = Path.cwd()
    except FileNotFoundError:
        raise ConfigError(
            "the current directory does not exist any more", hint="cd to another one"
        ) from None
    parent = (directory / output).parent
    if "%" not in str(parent) and not parent.is_dir():
        raise ConfigError(f"output: {parent} is not a directory", hint=f"mkdir -p {parent}")
    return str(directory)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
