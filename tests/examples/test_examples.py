"""The examples run as they stand, and compute what one plain process computes."""

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
CORPUS = Path("/usr/share/common-licenses")
COASTLINE = Path("/usr/share/gmt-gshhg/binned_GSHHS_i.nc")

pytestmark = pytest.mark.usefixtures("home")


def run(*argv: str | Path) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, argv)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def dask_hpc(*words: str) -> str:
    return run("-m", "dask_hpc.cli.main", *words)


@pytest.fixture
def four_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASK_HPC__LOCAL__CORES", "4")


@pytest.fixture
def named(request: pytest.FixtureRequest) -> Iterator[str]:
    """A detached cluster on the site of the parameter, by name."""
    site = request.param
    if site == "slurm":
        request.getfixturevalue("slurm")
    dask_hpc("up", site, "--name", "examples", "--jobs", "2", "--cores", "1", "--memory", "500MB")
    try:
        yield "examples"
    finally:
        dask_hpc("down", "examples")


both = pytest.mark.parametrize(
    "site", ["local", pytest.param("slurm", marks=pytest.mark.bed("slurm"))]
)
both_named = pytest.mark.parametrize(
    "named", ["local", pytest.param("slurm", marks=pytest.mark.bed("slurm"))], indirect=True
)


def counted_by_one_process() -> list[str]:
    """Return what the word count has to print."""
    texts = [path for path in CORPUS.rglob("*") if path.is_file()]
    words: Counter[str] = Counter()
    for path in texts:
        words.update(re.findall(r"[a-z]+", path.read_text(errors="replace").lower()))
    most = sorted(words.items(), key=lambda pair: (-pair[1], pair[0]))[:10]
    head = f"{words.total()} words in {len(texts)} files"
    return [head, *(f"{count:8d} {word}" for word, count in most)]


@both
@pytest.mark.usefixtures("four_cores")
def test_the_word_count_is_that_of_one_process(site: str) -> None:
    assert run(EXAMPLES / "wordcount.py", "--site", site).splitlines() == counted_by_one_process()


@both_named
@pytest.mark.usefixtures("four_cores")
def test_the_word_count_runs_on_a_detached_cluster(named: str) -> None:
    first = run(EXAMPLES / "wordcount.py", "--name", named).splitlines()
    assert first == counted_by_one_process()
    assert '"state": "running"' in dask_hpc("ls", "--json")


def coast_by_one_process() -> dict[int, int]:
    """Return the points of coast in each ten degrees, from the whole arrays at once."""
    with h5py.File(COASTLINE) as data:
        relative = data["Relative_latitude_from_SW_corner_of_bin"][:].astype("uint16")
        of_point = np.repeat(
            np.arange(data["N_segments_in_file"][0]),
            np.diff([*data["Id_of_first_point_in_a_segment"][:], relative.size]),
        )
        of_segment = np.repeat(np.arange(data["N_bins_in_file"][0]), data["N_segments_in_a_bin"][:])
        columns = int(data["N_bins_in_360_longitude_range"][0])
        size = int(data["Bin_size_in_minutes"][0]) / 60
    south = 90 - (of_segment[of_point] // columns + 1) * size
    bands = np.minimum((south + relative / 65535 * size + 90) // 10, 17).astype(int)
    return {10 * band - 90: int(count) for band, count in enumerate(np.bincount(bands))}


def printed_coast(text: str) -> dict[int, int]:
    rows = re.findall(r"^ *(-?\d+) to +-?\d+ +(\d+)", text, re.M)
    return {int(south): int(count) for south, count in rows}


@both
@pytest.mark.bed("data")
@pytest.mark.usefixtures("four_cores")
def test_the_coastline_is_that_of_one_process(site: str) -> None:
    text = run(EXAMPLES / "coastline.py", "--site", site)
    assert text.startswith("472443 points of coast in 14 chunks\n")
    assert printed_coast(text) == coast_by_one_process()


@both_named
@pytest.mark.bed("data")
@pytest.mark.usefixtures("four_cores")
def test_the_coastline_runs_on_a_detached_cluster(named: str) -> None:
    assert printed_coast(run(EXAMPLES / "coastline.py", "--name", named)) == coast_by_one_process()


def test_an_example_says_what_is_wrong_with_its_site() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "wordcount.py", "--site", "nowhere"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "ConfigError: site 'nowhere' is unknown" in done.stderr
