#!/usr/bin/env bash
#SBATCH --job-name=dask-climate-7f3a
#SBATCH --output=/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a.0.log
#SBATCH --open-mode=append
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=36
#SBATCH --mem=95368M
#SBATCH --time=26:00:00
#SBATCH --partition=premium
#SBATCH --account=physics-1
#SBATCH --gres=gpu:4
#SBATCH --comment="a worker of climate"
#SBATCH --no-requeue
#SBATCH --qos=high
#SBATCH --constraint='skylake|rome'
#SBATCH --mem=0

exec true
