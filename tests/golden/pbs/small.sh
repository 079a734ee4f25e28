#!/usr/bin/env bash
#PBS -N dask-climate-7f3a
#PBS -j oe
#PBS -o /dev/null
#PBS -m n
#PBS -r n
#PBS -l select=1:ncpus=1:mem=1024mb
exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a.0.log 2>&1

exec true
