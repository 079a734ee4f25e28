"""Links to ports of this host, as a browser follows them that is somewhere else and sees Jupyter.

In a kernel, Jupyter passes on what its own user asks for, if jupyter-server-proxy is installed.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from dask_hpc import _envvars


def seen_from_notebook(link: str) -> str:
    """Return a link to a port of this host by way of the Jupyter that this is a kernel of.

    The path alone, as everybody writes it: the browser knows the host better. Outside of a kernel,
    and where Jupyter does not say below which path it is, the link stays as it is.
    """
    prefix = _envvars.JUPYTER.get() or _envvars.HUB.get()
    if prefix is None or _envvars.KERNEL.get() is None:
        return link
    parts = urlsplit(link)
    return f"{prefix.rstrip('/')}/proxy/{parts.port}{parts.path}?{parts.query}"
