"""dask-mpi's functions: a cluster of the tasks that mpirun, or srun, has launched.

Every connection is encrypted, with certificates that live as long as the run.
"""

from __future__ import annotations

import atexit
import functools
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import dask
from distributed import Security

from dask_hpc.boot.ending import end
from dask_hpc.boot.meeting import find_meeting
from dask_hpc.boot.mpi import Part, find_scheduler, play
from dask_hpc.boot.roles import Layout, WorldTooSmallException
from dask_hpc.boot.servers import Wishes
from dask_hpc.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Unpack

    from dask_hpc.boot.meeting import Meeting

__all__ = ["WorldTooSmallException", "execute", "initialize", "send_close_signal"]

_OF_CLIENT = 1
_NANNY = "distributed.Nanny"


class ClusterOptions(TypedDict, total=False):
    """The keywords that `initialize` and `execute` share.

    Parameters
    ----------
    interface
        Network interface of all servers, as ``"ib0"``. Default: the route to each other.
    nthreads
        Threads of a worker. Default 1; None: its part of the processors of its node.
    memory_limit
        Bytes of a worker, or a text as ``"4GB"``. Default ``"auto"``: its part of its node.
    local_directory
        Where workers spill to. Default: a private directory in ``$TMPDIR`` or ``/tmp``.
    worker_class
        Default ``"distributed.Worker"``.
    worker_options
        More keywords of that class.
    dashboard_address
        A port for the dashboard, as ``":8787"``, which everybody can read. Default: none.
    protocol
        As ``"tcp"``. Default ``"tls"``.
    secure
        Whether connections are encrypted. Default: unless another protocol is given.
    comm
        A communicator of mpi4py. Default: all tasks, also without mpi4py.
    nanny, dashboard
        Of dask-mpi: ``nanny=True`` is ``worker_class="distributed.Nanny"``.
    """

    interface: str | None
    nthreads: int | None
    local_directory: str | None
    memory_limit: str | float
    nanny: bool
    dashboard: bool
    dashboard_address: str | None
    protocol: str | None
    worker_class: str
    worker_options: dict[str, Any] | None
    comm: Any
    secure: bool


class InitializeOptions(ClusterOptions, total=False):
    """The keywords of `initialize`.

    Parameters
    ----------
    exit
        Default True: the cluster ends with the script, and the other tasks exit then. With False
        they return, after `send_close_signal` was called.
    """

    exit: bool


class ExecuteOptions(ClusterOptions, total=False):
    """The keywords of `execute`.

    Parameters
    ----------
    client_kwargs
        Keywords for the function.
    client_rank, scheduler_rank
        The task that calls it, and that of the scheduler. Default 1 and 0; both may be one.
    exclusive_workers
        Default True: neither of these two is a worker as well.
    scheduler, scheduler_address
        With ``scheduler=False`` the workers join the scheduler at this address.
    scheduler_port
        Default: any that is free.
    scheduler_file
        Where to write the address.
    worker_name
        Workers are named with this and their number, as in ``name-2``. Default: the number.
    """

    client_kwargs: dict[str, Any] | None
    client_rank: int
    scheduler: bool
    scheduler_rank: int
    scheduler_address: str | None
    scheduler_port: int | None
    scheduler_file: str | Path | None
    exclusive_workers: bool
    worker_name: str | None


def initialize(**options: Unpack[InitializeOptions]) -> bool:
    """Make a cluster of the tasks of a launch; the script goes on in one of them.

    Task 0 becomes the scheduler, task 1 returns at once and goes on with the script, where
    ``Client()`` finds the cluster, and all others become workers.

    Parameters
    ----------
    options
        As of `InitializeOptions`.

    Returns
    -------
    bool
        Whether this is the task that goes on as the client.

    Raises
    ------
    WorldTooSmallException
        If there are fewer than three tasks.
    LaunchError
        If nothing says which task this is.
    """
    wanted = _checked(options, InitializeOptions)
    exits = wanted.pop("exit", True)
    meeting = find_meeting(options.get("comm"))
    layout = Layout(client_rank=_OF_CLIENT, least=3)
    part = Part(layout=layout, wishes=_wishes(wanted, meeting), meeting=meeting, certify=certify)
    if not part.role.client:
        play(part)
        if exits:
            raise SystemExit(0)
        return False
    atexit.register(functools.partial(meeting.leave, last=False))
    dask.config.set(find_scheduler(part).settings())
    if exits:
        atexit.register(send_close_signal)
    return True


def execute(
    client_function: Callable[..., object] | None = None,
    client_args: Sequence[object] = (),
    **options: Unpack[ExecuteOptions],
) -> None:
    """Call a function in one task of a launch, with a cluster of the others; return in all.

    Parameters
    ----------
    client_function, client_args
        What is called, where ``Client()`` finds the cluster. Without it the cluster stays until
        somebody shuts it down.
    options
        As of `ExecuteOptions`.

    Raises
    ------
    SystemExit
        If the function raises: its traceback is printed, and every task exits with code 1.
    WorldTooSmallException
        If there are too few tasks.
    LaunchError
        If nothing says which task this is.
    """
    wanted = _checked(options, ExecuteOptions)
    address = options.get("scheduler_address")
    meeting = find_meeting(options.get("comm"))
    part = Part(
        layout=_layout(options, has_client=client_function is not None),
        wishes=_wishes(wanted, meeting),
        meeting=meeting,
        certify=certify,
        address=address,
    )
    if client_function is None:
        play(part)
        return
    words = options.get("client_kwargs") or {}
    play(part, functools.partial(client_function, *client_args, **words))


def _layout(options: ExecuteOptions, *, has_client: bool) -> Layout:
    has_scheduler = options.get("scheduler", True)
    if not has_scheduler and options.get("scheduler_address") is None:
        raise ConfigError("scheduler=False needs a scheduler_address", hint="as tls://host:8786")
    return Layout(
        scheduler_rank=options.get("scheduler_rank", 0) if has_scheduler else None,
        client_rank=options.get("client_rank", _OF_CLIENT) if has_client else None,
        exclusive_workers=options.get("exclusive_workers", True),
    )


def send_close_signal() -> None:
    """End the cluster that ``Client()`` finds; only needed after ``initialize(exit=False)``."""
    end(dask.config.get("scheduler-address"), Security())


def certify(directory: Path) -> None:
    """Make the certificates of a cluster in a directory."""
    from dask_hpc.security.certificates import create_certificates

    create_certificates(directory, name="mpi")


def _checked(options: Mapping[str, Any], kind: type) -> dict[str, Any]:
    if unknown := options.keys() - kind.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    return dict(options)


def _wishes(given: dict[str, Any], meeting: Meeting) -> Wishes:
    protocol, file = given.get("protocol"), given.get("scheduler_file")
    wanted = [given.get(name) for name in ("interface", "scheduler_port")]
    return Wishes(
        interface=given.get("interface"),
        protocol=protocol,
        nthreads=given.get("nthreads", 1),
        memory_limit=given.get("memory_limit", "auto"),
        local_directory=given.get("local_directory"),
        worker_class=_class(given),
        worker_options=given.get("worker_options") or {},
        worker_name=given.get("worker_name"),
        scheduler_port=given.get("scheduler_port"),
        scheduler_file=Path(file) if file else None,
        dashboard_address=given.get("dashboard_address") if given.get("dashboard", True) else None,
        secure=given.get("secure", protocol in (None, "tls")),
        # Nobody from elsewhere was invited.
        loopback=meeting.ranks.is_one_node and not file and not any(wanted),
    )


def _class(given: dict[str, Any]) -> str:
    if given.get("nanny"):
        warnings.warn(f"nanny=True is worker_class={_NANNY!r}", DeprecationWarning, stacklevel=4)
        return _NANNY
    return str(given.get("worker_class", "distributed.Worker"))
