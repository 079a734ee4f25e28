"""Count the words of a text corpus on batch jobs.

    python examples/wordcount.py                             # the licences on this machine
    python examples/wordcount.py --site slurm ~/corpus       # every text file below a folder
    dask-hpc up slurm --name words --workers 4
    python examples/wordcount.py --name words ~/corpus       # on a cluster that is there already
    dask-hpc run --nodes 9 examples/wordcount.py ~/corpus    # in one job, which is the cluster

The cells can be run one by one in a notebook or an editor that knows ``# %%``.
"""

# %% What to count, and where
import argparse
import re
from pathlib import Path

from dask import bag, config
from distributed import Client

from dask_hpc import HPCCluster

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("corpus", nargs="?", type=Path, default=Path("/usr/share/common-licenses"))
parser.add_argument("--site", help="where to start a cluster (default: it is detected)")
parser.add_argument("--name", help="a cluster that exists")
parser.add_argument("--jobs", type=int, default=2, help="worker jobs of a cluster of our own")
options = parser.parse_args()

texts = sorted(str(path) for path in options.corpus.rglob("*") if path.is_file())

# %% A cluster: that of this job, one that outlives this program, or one that ends with it
cluster = None
if options.name:
    cluster = HPCCluster.from_name(options.name)
elif not config.get("scheduler-address", None):
    cluster = HPCCluster(site=options.site, cores=1, memory="1GB", walltime="10min")
    cluster.scale(jobs=options.jobs)
client = cluster.get_client() if cluster else Client()


# %% The words of all files, counted where the files are read
def words_of(line: str) -> list[str]:
    """Return the words of a line, in small letters."""
    return re.findall(r"[a-z]+", line.lower())


lines = bag.read_text(texts, errors="replace", files_per_partition=8)
words = lines.map(words_of).flatten()
counts = words.frequencies()
most = counts.topk(10, key=1).compute()
total = words.count().compute()

# %% What came out
print(f"{total} words in {len(texts)} files")
for word, count in sorted(most, key=lambda pair: (-pair[1], pair[0])):
    print(f"{count:8d} {word}")

# %% Leave: a cluster with a name goes on, our own ends here
client.close()
if cluster:
    cluster.close()
