#!/usr/bin/env bash
#$ -N dask-climate-7f3a
#$ -S /bin/bash
#$ -j y
#$ -o /dev/null
#$ -r n
#$ -pe mpi36 72
#$ -l h_rt=26:00:00
#$ -l h_vmem=2650M
#$ -l ngpus=4
#$ -q long.q@@fast
#$ -P physics-1
#$ -ac "comment=a worker of climate"
#$ -p -10
#$ -l exclusive=true
#$ -m a
exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a."$(( (${SGE_TASK_ID#undefined}+0) ? ${SGE_TASK_ID#undefined}-1+0 : 0 ))".log 2>&1 || exit 1

exec true
