#!/bin/sh
# Count the words of a corpus in one job of LSF: scheduler and program on the first host,
# where one worker is left out for them, and workers on all hosts, started by blaunch.
#
#     CORPUS=~/corpus sh examples/lsf.sh
#     sh examples/lsf.sh --dry-run           (or any other option of dask-hpc run)
exec dask-hpc run --site lsf --nodes 9 --cores 8 --processes 8 --memory 32GB --walltime 1h "$@" \
  "$(dirname "$0")/wordcount.py" "${CORPUS:-/usr/share/common-licenses}"
