"""The page that stands where JupyterLab will be."""

from __future__ import annotations

from dask_hpc.jupyter.waiting import Wait, waiting_page

WAIT = Wait(name="rain", site="alpine", words="job 7 is pending: all nodes are busy", since=100.0)


def test_it_says_what_is_waited_for_and_looks_again() -> None:
    page = waiting_page(WAIT, now=220.0)
    assert "<title>rain · waiting</title>" in page
    assert "job 7 is pending: all nodes are busy" in page
    assert "On alpine, asked for 2m" in page
    assert 'http-equiv="refresh"' in page
    assert "dask-hpc down rain" in page


def test_what_a_batch_system_says_is_text() -> None:
    page = waiting_page(Wait(name="rain", site="a", words="<b>&", since=0.0), now=0.0)
    assert "&lt;b&gt;&amp;" in page


def test_when_there_is_nothing_to_wait_for_it_does_not_look_again() -> None:
    over = Wait(name="rain", site="a", words="no jupyterlab", since=0.0, hint="pip", is_over=True)
    page = waiting_page(over, now=9.0)
    assert "refresh" not in page
    assert "no jupyterlab" in page
    assert "pip" in page
