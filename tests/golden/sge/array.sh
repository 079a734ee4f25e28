#!/usr/bin/env bash
#$ -N dask-climate-7f3a
#$ -S /bin/bash
#$ -j y
#$ -o /dev/null
#$ -r n
#$ -l mem_free=1024M
exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a."$(( (${SGE_TASK_ID#undefined}+0) ? ${SGE_TASK_ID#undefined}-1+0 : 0 ))".log 2>&1 || exit 1

exec true
