"""Where is the world's coast? A reduction over a chunked data set, one task a chunk.

The data are the Global Self-consistent Hierarchical High-resolution Geography (GSHHG) in netCDF,
as Debian's package ``gmt-gshhg-low`` installs them: 472,443 points in 14 compressed chunks.

    python examples/coastline.py
    python examples/coastline.py --site slurm
    dask-hpc up slurm --name coast --workers 4
    python examples/coastline.py --name coast
"""

# %% The data, and where to compute
import argparse

import h5py
import numpy as np
from dask import delayed

from dask_hpc import HPCCluster

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("data", nargs="?", default="/usr/share/gmt-gshhg/binned_GSHHS_i.nc")
parser.add_argument("--site", help="where to start a cluster (default: it is detected)")
parser.add_argument("--name", help="a cluster that exists")
parser.add_argument("--jobs", type=int, default=2, help="worker jobs of a cluster of our own")
options = parser.parse_args()

BAND = 10  # degrees


# %% What a task does: read one chunk, and count its points by latitude
@delayed
def count_by_latitude(path: str, start: int, stop: int) -> np.ndarray:
    """Return the number of points of a chunk in each band from 90 S to 90 N."""
    with h5py.File(path) as data:
        relative = data["Relative_latitude_from_SW_corner_of_bin"][start:stop].astype("uint16")
        first_segments = data["Id_of_first_segment_in_a_bin"][:]
        first_points = data["Id_of_first_point_in_a_segment"][:]
        columns = int(data["N_bins_in_360_longitude_range"][0])
        size = int(data["Bin_size_in_minutes"][0]) / 60
    segments = np.searchsorted(first_points, np.arange(start, stop), side="right") - 1
    bins = np.searchsorted(first_segments, segments, side="right") - 1
    south = 90 - (bins // columns + 1) * size
    latitudes = south + relative / 65535 * size
    return np.histogram(latitudes, bins=np.arange(-90, 90 + BAND, BAND))[0]


@delayed
def add(counts: list[np.ndarray]) -> np.ndarray:
    """Return the sum of some counts."""
    return np.sum(counts, axis=0)


# %% The reduction: four partial sums at a time, until one is left
with h5py.File(options.data) as data:
    points = data["Relative_latitude_from_SW_corner_of_bin"]
    length, chunk = points.shape[0], points.chunks[0]
parts = [
    count_by_latitude(options.data, start, min(start + chunk, length))
    for start in range(0, length, chunk)
]
while len(parts) > 1:
    parts = [add(parts[start : start + 4]) for start in range(0, len(parts), 4)]

# %% A cluster: one that outlives this program, or one that ends with it
if options.name:
    cluster = HPCCluster.from_name(options.name)
else:
    cluster = HPCCluster(site=options.site, cores=1, memory="1GB", walltime="10min")
    cluster.scale(jobs=options.jobs)
client = cluster.get_client()

# %% What came out
counts = parts[0].compute()
print(f"{counts.sum()} points of coast in {length // chunk + 1} chunks")
for south, count in zip(range(-90, 90, BAND), counts, strict=True):
    print(f"{south:4d} to {south + BAND:3d} {count:7d} {'#' * (60 * count // counts.max())}")

# %% Leave: a cluster with a name goes on, our own ends here
client.close()
cluster.close()
