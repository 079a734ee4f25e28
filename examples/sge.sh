#!/bin/sh
# Count the words of a corpus in one job of Grid Engine: scheduler, program and workers in the
# slots that a parallel environment gives on one host.
#
#     CORPUS=~/corpus sh examples/sge.sh
#     sh examples/sge.sh --dry-run           (or any other option of dask-hpc run)
exec dask-hpc run --site sge --cores 8 --processes 8 --memory 32GB --walltime 1h "$@" \
  "$(dirname "$0")/wordcount.py" "${CORPUS:-/usr/share/common-licenses}"
