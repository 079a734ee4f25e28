"""The page that stands where JupyterLab will be, while its job waits or starts. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from dask_hpc._units import format_seconds

TO_TYPE = ": type "  # what follows is a command
_AGAIN = 2  # seconds until a browser looks again

_PAGE = """<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">{refresh}
<link rel="icon" href="data:,">
<title>{name} · {title}</title>
<style>
body {{ font: 16px/1.6 system-ui, sans-serif; margin: 12vh auto; max-width: 40em; padding: 0 1em;
 color: #222; background: #fff }}
h1 {{ font-size: 1.4em; font-weight: 600 }}
div.state {{ border-left: 4px solid {colour}; padding: .4em 1em; background: #f6f6f6;
 overflow-wrap: anywhere }}
div.state p {{ margin: .3em 0 }} div.state p:first-child {{ font-weight: 600 }}
div.state code {{ background: #e6e6e6; box-decoration-break: clone;
 -webkit-box-decoration-break: clone }}
p.more {{ color: #666; font-size: .9em }}
code {{ background: #f0f0f0; padding: .1em .3em }}
@media (prefers-color-scheme: dark) {{ body {{ background: #181818; color: #ddd }}
 div.state, code, div.state code {{ background: #262626 }} p.more {{ color: #999 }} }}
</style></head><body>
<h1>JupyterLab of {name}</h1>
<div class="state" role="status">{words}</div>
<p class="more">{more}</p>
</body></html>
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What is known while JupyterLab is not there.

    ``is_over`` means that it will not come; ``since`` is when the waiting began, in seconds since
    the epoch.
    """

    name: str
    site: str
    words: str
    since: float
    hint: str = ""
    is_over: bool = False


def waiting_page(wait: Wait, *, now: float) -> str:
    """Return the page in HTML; it looks again by itself until there is nothing to wait for."""
    name, site = escape(wait.name), escape(wait.site)
    end = f"<code>dask-hpc down {name}</code> ends it."
    if wait.is_over:
        title, refresh, colour = "failed", "", "#c0392b"
        more = f"{escape(wait.hint)}<br>{end}" if wait.hint else end
    else:
        title, colour = "waiting", "#e67e22"
        refresh = f'<meta http-equiv="refresh" content="{_AGAIN}">'
        waited = format_seconds(max(0.0, now - wait.since))
        more = (
            f"On {site}, asked for {waited} ago. This page becomes JupyterLab as soon as that is "
            f"there; it may be closed meanwhile. {end}"
        )
    return _PAGE.format(
        name=name,
        title=title,
        refresh=refresh,
        colour=colour,
        words="".join(f"<p>{_part(part)}</p>" for part in wait.words.split("; ")),
        more=more,
    )


def _part(words: str) -> str:
    """Return a part of what is said; what is to be typed looks so."""
    text, by, typed = words.partition(TO_TYPE)
    return f"{escape(text)}{by}<code>{escape(typed)}</code>" if by else escape(text)
