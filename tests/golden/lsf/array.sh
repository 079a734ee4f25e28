#!/usr/bin/env bash
#BSUB -J "dask-climate-7f3a[1-10]"
#BSUB -o /dev/null
#BSUB -n 1
#BSUB -R "span[hosts=1] rusage[mem=1024]"
#BSUB -M 1048576
#BSUB -rn
exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a."$((${LSB_JOBINDEX:-0} > 0 ? ${LSB_JOBINDEX:-0} - 1 : 0))".log 2>&1

exec true
