#!/bin/sh
# Count the words of a corpus in one job of Slurm: scheduler and program on the first node,
# where one worker is left out for them, and workers on all nodes, started by srun.
#
#     CORPUS=~/corpus sh examples/slurm.sh
#     sh examples/slurm.sh --dry-run           (or any other option of dask-hpc run)
exec dask-hpc run --site slurm --nodes 9 --cores 8 --processes 8 --memory 32GB --walltime 1h "$@" \
  "$(dirname "$0")/wordcount.py" "${CORPUS:-/usr/share/common-licenses}"
