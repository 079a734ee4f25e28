#!/usr/bin/env bash
#PBS -N dask-climate-7f3a
#PBS -j oe
#PBS -o /dev/null
#PBS -m n
#PBS -r n
#PBS -l nodes=2:ppn=36:gpus=4
#PBS -l mem=190735mb
#PBS -l walltime=26:00:00
#PBS -q premium
#PBS -A physics-1
#PBS -P climate
#PBS -l place=scatter:excl
#PBS -W umask=077
exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a.0.log 2>&1

exec true
