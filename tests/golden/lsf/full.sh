#!/usr/bin/env bash
#BSUB -J dask-climate-7f3a
#BSUB -Jd "a worker of climate"
#BSUB -o /dev/null
#BSUB -n 72
#BSUB -R "span[ptile=36] rusage[mem=95368]"
#BSUB -M 97656250
#BSUB -W 26:01
#BSUB -q premium
#BSUB -P physics-1
#BSUB -gpu num=4
#BSUB -rn
#BSUB -x
#BSUB -R "select[ib]"
#BSUB -G wide
exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a."$((${LSB_JOBINDEX:-0} > 0 ? ${LSB_JOBINDEX:-0} - 1 : 0))".log 2>&1

exec true
