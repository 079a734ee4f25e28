"""How a job that waits is told, in the terminal and on the page alike."""

from __future__ import annotations

import re
from dataclasses import replace

from dask_hpc._clock import SystemClock
from dask_hpc.batch.model import JobId, JobState, JobStatus, Tag
from dask_hpc.batch.outlook import Place
from dask_hpc.cli.progress import in_words
from dask_hpc.deploy.prospects import Prospects, Sooner
from dask_hpc.deploy.starting import StartProgress
from dask_hpc.jupyter.waiting import Wait, waiting_page

STATUS = JobStatus(
    id=JobId("36"),
    tag=Tag("rain-x"),
    state=JobState.PENDING,
    reason="Priority",
    plain_reason="other jobs are ahead of it",
)
PLACE = Place(number=3, of=12, queue="long")
WAITING = StartProgress(job=JobId("36"), status=STATUS)


def told(progress: StartProgress, prospects: Prospects) -> list[str]:
    return in_words(replace(progress, prospects=prospects)).split("; ")


def test_what_is_not_known_is_not_told() -> None:
    assert in_words(StartProgress(job=JobId("36"))) == "job 36 is in the queue"
    assert in_words(WAITING) == "job 36 is pending: other jobs are ahead of it"


def test_state_reason_place_estimate_and_a_sooner_queue_are_told() -> None:
    now = SystemClock().time()
    estimated = replace(WAITING, status=replace(STATUS, start_estimate=now + 7200.5))
    sooner = Sooner(queue="short", start=now, move="scontrol update jobid=36 partition=short")
    assert told(estimated, Prospects(place=PLACE, sooner=sooner)) == [
        "job 36 is pending: other jobs are ahead of it",
        "it is number 3 of 12 in its queue",
        "the queue expects a start in 2h",
        "queue short would start it now: type scontrol update jobid=36 partition=short",
    ]


def test_a_queue_that_starts_it_later_or_only_has_room_says_no_more() -> None:
    later = Sooner(queue="short", start=SystemClock().time() + 1800.5, move="qmove short 36")
    assert told(WAITING, Prospects(sooner=later))[1:] == [
        "queue short would start it in 30m: type qmove short 36"
    ]
    room = Sooner(queue="short", free=1)
    assert told(WAITING, Prospects(sooner=room))[1:] == [
        "queue short takes such jobs and has 1 free node: type dask-hpc up --queue short"
    ]


def test_a_job_that_has_begun_has_no_place_any_more() -> None:
    begun = replace(WAITING, has_begun=True)
    assert told(begun, Prospects(place=PLACE)) == ["job 36 runs, its scheduler is starting"]
    running = replace(WAITING, status=replace(STATUS, state=JobState.RUNNING, plain_reason=""))
    assert told(running, Prospects(place=PLACE)) == ["job 36 is running: Priority"]


def test_the_page_says_it_in_the_same_words() -> None:
    sooner = Sooner(queue="short", start=SystemClock().time(), move="qmove short 36")
    words = in_words(replace(WAITING, prospects=Prospects(place=PLACE, sooner=sooner)))
    page = waiting_page(Wait(name="rain", site="alpine", words=words, since=0.0), now=0.0)
    found = re.findall(r"<p>(.*?)</p>", page)
    assert "; ".join(re.sub("<.*?>", "", part) for part in found) == words
    assert "<code>qmove short 36</code>" in found[-1]
