#!/usr/bin/env bash
#PBS -N dask-climate-7f3a
#PBS -j oe
#PBS -o /dev/null
#PBS -m n
#PBS -r n
#PBS -l nodes=1:ppn=1
#PBS -l mem=1024mb
exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a."${PBS_ARRAYID:-0}".log 2>&1

exec true
