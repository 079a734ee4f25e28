"""qsub, qstat and qdel of OpenPBS or Torque, as recorded; jobs are processes of this machine.

Moab is Torque with two commands of its own, as its manual has them: msub and canceljob.

    python standin.py openpbs qsub …

``DASK_HPC_STANDIN`` names the directory that is the server: a file for each array or job, and one
for each element. Every running job has a process that watches it; it ends the job at its walltime,
at ``qdel``, and when the directory has a file called ``stop`` or is gone. A job that asks for more
than 8 cores or one node waits for ever.
"""

from __future__ import annotations

import fcntl
import getopt
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

SERVER = "standin"
CORES = 8
QUEUES = {"workq": "24:00:00", "debug": "00:30:00"}
OPTIONS = "A:C:J:N:P:S:VW:a:e:fhj:k:l:m:o:p:q:r:t:"
GRACE = 1.0  # seconds between TERM and KILL
BEAT = 0.05
ENDED = "FXC"

Fields = dict[str, Any]


class Failure(Exception):  # it is what a command says, not an error of ours
    """What a command says instead of an answer, and its exit code."""

    def __init__(self, words: str, code: int) -> None:
        super().__init__(words)
        self.code = code


# the server --------------------------------------------------------------------------------------

# What a job gets of the environment that submitted it; a real server is found by a file, this one
# by variables.
_KEPT = ("HOME", "PATH", "USER", "LOGNAME", "DASK_HPC_STANDIN", "DASK_HPC_STANDIN_PYTHON")


def write(path: Path, fields: Fields) -> None:
    new = path.with_suffix(f".{os.getpid()}")
    new.write_text(json.dumps(fields), encoding="utf-8")
    new.replace(path)


def read(path: Path) -> Fields:
    found: Fields = json.loads(path.read_text(encoding="utf-8"))
    return found


class Server:
    """The jobs in a directory."""

    def __init__(self, directory: Path, flavour: str) -> None:
        self.directory = directory
        self.is_torque = flavour == "torque"

    def next_number(self) -> int:
        with (self.directory / "number").open("a+", encoding="ascii") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            number = int(file.read() or 0) + 1
            file.seek(0)
            file.truncate()
            file.write(str(number))
            return number

    def numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self.directory.glob("*.job"))

    def job(self, number: int) -> Fields:
        return read(self.directory / f"{number}.job")

    def element_path(self, number: int, index: int) -> Path:
        return self.directory / f"{number}-{index}.element"

    def elements(self, number: int) -> dict[int, Fields]:
        count = self.job(number)["count"]
        return {index: read(self.element_path(number, index)) for index in range(count or 1)}

    def name(self, number: int, index: int | str) -> str:
        is_array = self.job(number)["count"] is not None
        return f"{number}[{index}].{SERVER}" if is_array else f"{number}.{SERVER}"


# qsub --------------------------------------------------------------------------------------------


def script_of(files: list[str]) -> str:
    """Return the script: of the file that the command names, or of the standard input."""
    if not files:
        return sys.stdin.read()
    try:
        return Path(files[0]).read_text(encoding="utf-8")
    except OSError as error:
        raise Failure("qsub: script file:: No such file or directory", 1) from error


def parsed(words: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """Return the options among words, and what comes after them."""
    try:
        return getopt.getopt(words, OPTIONS)
    except getopt.GetoptError as error:
        raise Failure(f"qsub: {error}\nusage: qsub [-a date_time]", 2) from error


def asked(arguments: list[tuple[str, str]], script: str) -> dict[str, str]:
    """Return the options of the command and the script; resources by their names."""
    lines = [line[4:] for line in script.splitlines() if line.startswith("#PBS")]
    found: dict[str, str] = {}
    for options in [*(parsed(shlex.split(line))[0] for line in lines), arguments]:
        for option, value in options:
            if option != "-l":
                found[option] = value
                continue
            found |= {
                name: each for name, _, each in (one.partition("=") for one in value.split(","))
            }
    return found


def check(server: Server, options: dict[str, str]) -> int | None:
    """Return the number of elements, if it is an array."""
    array = options.get("-t" if server.is_torque else "-J")
    if options.get("-q", "workq") not in QUEUES:
        if server.is_torque:
            raise Failure("qsub: submit error (Unknown queue MSG=requested queue not found)", 172)
        raise Failure("qsub: Unknown queue", 170)
    if not re.fullmatch(r"[A-Za-z][\w+.-]*", options.get("-N", "STDIN"), re.ASCII):
        raise Failure("qsub: illegal -N value\nusage: qsub [-a date_time]", 2)
    if server.is_torque and ("-J" in options or "select" in options):
        raise Failure("[The -J option can only be used in conjunction with -P]\nusage: qsub", 2)
    if not array:
        return None
    first, _, last = array.partition("-")
    if first != "0" or (int(last or 0) < 1 and not server.is_torque):
        raise Failure("qsub: illegal -J value\nusage: qsub [-a date_time]", 2)
    return int(last or 0) + 1


def size(options: dict[str, str]) -> tuple[int, int]:
    """Return nodes, and the cores of each."""
    text = options.get("select") or options.get("nodes") or "1:ncpus=1"
    nodes, *parts = text.split(":")
    cores = dict(part.partition("=")[::2] for part in parts)
    return int(nodes), int(cores.get("ncpus") or cores.get("ppn") or 1)


def qsub(server: Server, arguments: list[str]) -> int:
    words, files = parsed(arguments)
    script = script_of(files)
    options = asked(words, script)
    count = check(server, options)
    nodes, cores = size(options)
    if server.is_torque and cores > CORES:
        raise Failure(
            "qsub: submit error (Job exceeds queue resource limits MSG=cannot locate feasible "
            "nodes (nodes file is empty, all systems are busy, or no nodes have the requested "
            "feature))",
            190,
        )
    number = server.next_number()
    path = server.directory / f"{number}.sh"
    path.write_text(script, encoding="utf-8")
    path.chmod(0o700)
    waits = nodes > 1 or cores > CORES or "-h" in options
    element = {"state": "H" if "-h" in options else "Q" if waits else "R", "stime": time.time()}
    for index in range(count or 1):
        write(server.element_path(number, index), element)
    job = {"count": count, "options": options, "ctime": time.time()}
    write(server.directory / f"{number}.job", job)
    for index in range(0 if waits else count or 1):
        watcher = [
            sys.executable,
            "-I",
            __file__,
            "torque" if server.is_torque else "openpbs",
            "run",
        ]
        with Path(os.devnull).open("r+b") as nothing:
            subprocess.Popen(
                [*watcher, str(number), str(index)],
                start_new_session=True,
                stdin=nothing, stdout=nothing, stderr=nothing,
            )  # fmt: skip
    sys.stdout.write(f"{server.name(number, '')}\n")
    return 0


def msub(server: Server, arguments: list[str]) -> int:
    """Submit in Moab's words: of an array it wants the name as well, ``-t climate[0-9]``."""
    words = [re.sub(r".*\[(.+)\]$", r"\1", word) for word in arguments if word != "-E"]
    return qsub(server, words)


# a job -------------------------------------------------------------------------------------------


def run(server: Server, arguments: list[str]) -> int:
    """Run an element to its end, and write down how it ended."""
    number, index = map(int, arguments)
    options = server.job(number)["options"]
    path = server.element_path(number, index)
    element = read(path)
    write(server.directory / f"{os.getpid()}.watcher", {})
    walltime = seconds(options.get("walltime", "01:00:00"))
    kept = {name: said for name, said in os.environ.items() if name in _KEPT or "-V" in options}
    variables = {"PBS_JOBID": server.name(number, index), "PBS_ENVIRONMENT": "PBS_BATCH"}
    variables["PBS_JOBNAME"] = options.get("-N", "STDIN")
    if server.job(number)["count"] is not None:
        variables["PBS_ARRAYID" if server.is_torque else "PBS_ARRAY_INDEX"] = str(index)
        if server.is_torque:
            variables["PBS_JOBNAME"] += f"-{index}"
    if server.is_torque:
        variables["PBS_WALLTIME"] = str(int(walltime))
    with output_of(options, number).open("ab") as output:
        child = subprocess.Popen(
            [str(server.directory / f"{number}.sh")],
            start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env=kept | variables, cwd=os.environ.get("HOME", "/"),
        )  # fmt: skip
    why = watch(server, child, number=number, index=index, until=element["stime"] + walltime)
    code = child.returncode
    ends = {"cancel": 271, "walltime": -11 if server.is_torque else -29}
    code = ends.get(why, 128 - code if code < 0 else code)
    if server.directory.exists():
        write(path, element | {"state": "C", "code": code, "why": why, "end": time.time()})
        (server.directory / f"{os.getpid()}.watcher").unlink()
    return 0


def output_of(options: dict[str, str], number: int) -> Path:
    """Return where a job's output goes; in a directory, under the name that PBS gives it."""
    path = Path(options.get("-o", os.devnull))
    return path / f"{options.get('-N', 'STDIN')}.o{number}" if path.is_dir() else path


def watch(
    server: Server, child: subprocess.Popen[bytes], *, number: int, index: int, until: float
) -> str:
    """Return why a job had to end, or nothing if it ended by itself."""
    why = ""
    kill_at = None
    cancel = server.directory / f"{number}-{index}.cancel"
    while child.poll() is None:
        if kill_at is None:
            is_stopped = not server.directory.exists() or (server.directory / "stop").exists()
            why = "cancel" if is_stopped or cancel.exists() else ""
            why = why or ("walltime" if time.time() > until else "")
            if why:
                os.killpg(child.pid, signal.SIGTERM)
                kill_at = time.monotonic() + GRACE
        elif time.monotonic() > kill_at:
            os.killpg(child.pid, signal.SIGKILL)
        time.sleep(BEAT)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)  # what the script left behind
    return why


def seconds(text: str) -> float:
    hours, minutes, rest = (int(part) for part in text.split(":"))
    return hours * 3600 + minutes * 60 + rest


# qdel --------------------------------------------------------------------------------------------


def qdel(server: Server, arguments: list[str]) -> int:
    code = 0
    for word in arguments:
        try:
            delete(server, word)
        except Failure as failure:
            sys.stderr.write(f"{failure}\n")
            code = failure.code
    return code


def delete(server: Server, word: str) -> None:
    number, indices = named(server, word, unknown="nonexistent job id:" if server.is_torque else "")
    elements = server.elements(number)
    chosen = elements if indices is None else {index: elements[index] for index in indices}
    live = {index: each for index, each in chosen.items() if each["state"] not in ENDED}
    if not live:
        if server.is_torque:
            state = "MSG=invalid state for job - COMPLETE"
            raise Failure(f"qdel: Request invalid for state of job {state} {word}", 170)
        raise Failure(f"qdel: Job has finished {word}", 35)
    for index, element in live.items():
        if element["state"] == "R":
            (server.directory / f"{number}-{index}.cancel").touch()
        else:
            ended = {"state": "C", "why": "cancel", "end": time.time()}
            write(server.element_path(number, index), element | ended)


def named(server: Server, word: str, *, unknown: str = "") -> tuple[int, list[int] | None]:
    """Return the number in a word, and the elements of an array if it names some."""
    match = re.fullmatch(r"(\d+)(?:\[(\d*)(?:-(\d+))?\])?(?:\.\w+)?", word)
    program = sys.argv[2]
    if match is None or int(match[1]) not in server.numbers():
        full = word if "." in word else f"{word}.{SERVER}"
        raise Failure(f"{program}: {unknown or 'Unknown Job Id'} {full}", 153)
    if not match[2]:
        return int(match[1]), None
    return int(match[1]), list(range(int(match[2]), int(match[3] or match[2]) + 1))


# qstat -------------------------------------------------------------------------------------------


def qstat(server: Server, arguments: list[str]) -> int:
    if arguments == ["--version"]:
        said = "Version: 6.1.3\nCommit: stand-in" if server.is_torque else "pbs_version = 23.06.06"
        sys.stderr.write(f"{said}\n")
        return 0
    known = "fQtx" if server.is_torque else "fQtxF:"
    try:
        flags, words = getopt.getopt(arguments, known)
    except getopt.GetoptError as error:
        raise Failure(f"qstat: {error}\nusage: qstat [-f]", 2) from error
    options = dict(flags)
    is_json = options.get("-F") == "json"
    if "-Q" in options:
        sys.stdout.write(queues_text() if not is_json else whole("Queue", queues()))
        return 0
    if not is_json and not (server.is_torque and "-x" in options):
        raise Failure("qstat: conflicting options.\nusage: qstat [-f]", 2)
    jobs, failure = listed(server, words, with_ended=server.is_torque or "-x" in options)
    sys.stdout.write(document(jobs) if server.is_torque else whole("Jobs", jobs))
    if failure:
        raise failure
    return 0


def listed(
    server: Server, words: list[str], *, with_ended: bool
) -> tuple[dict[str, Fields], Failure | None]:
    """Return jobs; nothing after the first that is not known, as recorded."""
    found: dict[str, Fields] = {}
    try:
        numbers = [named(server, word)[0] for word in words] if words else server.numbers()
    except Failure as failure:
        return found, failure
    for number in numbers:
        job, elements = server.job(number), server.elements(number)
        is_over = all(each["state"] in ENDED for each in elements.values())
        if is_over and not with_ended:
            continue
        if job["count"] is not None and not server.is_torque:
            found[server.name(number, "")] = array(job, elements)
        for index, element in elements.items():
            name = server.name(number, index)
            found[name] = (torque_job if server.is_torque else pbs_job)(job, element, index)
    return found, None


def date(moment: float) -> str:
    return time.ctime(moment)


def common(job: Fields) -> Fields:
    options = job["options"]
    walltime = options.get("walltime", "01:00:00")
    return {
        "Job_Name": options.get("-N", "STDIN"),
        "Job_Owner": "somebody@standin",
        "queue": options.get("-q", "workq"),
        "Resource_List": {"walltime": walltime},
    }


def array(job: Fields, elements: dict[int, Fields]) -> Fields:
    states = {each["state"] for each in elements.values()}
    state = (
        "F" if states <= set(ENDED) else "Q" if states == {"Q"} else "H" if states == {"H"} else "B"
    )
    return (
        common(job)
        | {"job_state": state, "ctime": date(job["ctime"]), "array": "True"}
        | waiting(state)
    )


def waiting(state: str) -> Fields:
    if state == "H":
        return {"Hold_Types": "u"}
    if state == "Q":
        return {"comment": "Not Running: Insufficient amount of resource: ncpus "}
    return {}


def pbs_job(job: Fields, element: Fields, index: int) -> Fields:
    state = element["state"]
    is_array = job["count"] is not None
    fields = common(job) | {"job_state": state, "ctime": date(job["ctime"])}
    fields |= {"array_index": index} if is_array else waiting(state)
    ran = "Job run at Fri Nov 20 at 08:06 on (node1:ncpus=1)"
    if state == "R":
        fields |= {"stime": date(element["stime"]), "exec_host": "node1/0", "comment": ran}
    if state in ENDED:
        why, code = element["why"], element.get("code")
        ends = {
            "cancel": "terminated by somebody@standin",
            "walltime": "exceeded resource walltime",
        }
        tail = ends.get(why) or ("failed" if code else "finished")
        substate = 91 if why == "cancel" else 93 if code else 92
        fields |= {"job_state": "X" if is_array else "F", "substate": substate}
        fields |= {"obittime": date(element["end"]), "comment": f"{ran} and {tail}"}
        fields |= {} if code is None else {"Exit_status": code}
    return fields


def torque_job(job: Fields, element: Fields, index: int) -> Fields:
    state = element["state"]
    fields = common(job) | {"job_state": state, "ctime": int(job["ctime"])}
    if job["count"] is not None:
        fields |= {"Job_Name": f"{fields['Job_Name']}-{index}", "job_array_id": index}
    if state == "Q":
        fields["comment"] = "Not Running: Not enough of the right type of nodes are available"
    if state == "R":
        fields |= {"start_time": int(element["stime"]), "exec_host": "node1/0"}
    if state == "C":
        fields |= {"comp_time": int(element["end"])}
        fields |= {"exit_status": element["code"]} if "code" in element else {}
    return fields


def whole(part: str, named_parts: dict[str, Fields]) -> str:
    """Return the object of qstat -F json, which has no part that is empty."""
    head: Fields = {"timestamp": int(time.time()), "pbs_version": "23.06.06", "pbs_server": SERVER}
    found = head | ({part: named_parts} if named_parts else {})
    return json.dumps(found, indent="\t", separators=(",", ":\t")) + "\n"


def document(jobs: dict[str, Fields]) -> str:
    texts = (f"<Job>{elements({'Job_Id': name} | job)}</Job>" for name, job in jobs.items())
    return f'<?xml version="1.0"?>\n<Data>{"".join(texts)}</Data>\n'


def elements(fields: Fields) -> str:
    return "".join(
        f"<{name}>{elements(value) if isinstance(value, dict) else escape(str(value))}</{name}>"
        for name, value in fields.items()
    )


def queues() -> dict[str, Fields]:
    return {
        name: {"queue_type": "Execution", "resources_max": {"walltime": longest},
               "enabled": "True", "started": "True"}
        for name, longest in QUEUES.items()
    }  # fmt: skip


def queues_text() -> str:
    return "".join(
        f"Queue: {name}\n    queue_type = Execution\n    resources_max.walltime = {longest}\n"
        "    state_count = Transit:0 Queued:0 Held:0 Waiting:0 Running:0 Exiting:0 Comp\n\tlete:0\n"
        "    enabled = True\n    started = True\n\n"
        for name, longest in QUEUES.items()
    )


def main() -> int:
    _, flavour, program, *arguments = sys.argv
    server = Server(Path(os.environ["DASK_HPC_STANDIN"]), flavour)
    programs = {"qsub": qsub, "qstat": qstat, "qdel": qdel, "run": run}
    programs |= {"msub": msub, "canceljob": qdel}
    try:
        return programs[program](server, arguments)
    except Failure as failure:
        sys.stderr.write(f"{failure}\n")
        return failure.code


if __name__ == "__main__":
    raise SystemExit(main())
