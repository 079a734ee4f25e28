#!/bin/sh
# Count the words of a corpus in one job of PBS: scheduler and program on chunk 0, where
# one worker is left out for them, and workers on all other chunks, started by pbsdsh.
#
#     CORPUS=~/corpus sh examples/pbs.sh
#     sh examples/pbs.sh --dry-run           (or any other option of dask-hpc run)
exec dask-hpc run --site pbs --nodes 9 --cores 8 --processes 8 --memory 32GB --walltime 1h "$@" \
  "$(dirname "$0")/wordcount.py" "${CORPUS:-/usr/share/common-licenses}"
