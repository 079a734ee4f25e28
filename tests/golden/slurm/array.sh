#!/usr/bin/env bash
#SBATCH --job-name=dask-climate-7f3a
#SBATCH --output=/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a.%a.log
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --mem=1024M
#SBATCH --no-requeue

exec true
