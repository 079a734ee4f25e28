#!/usr/bin/env bash
#SBATCH --job-name=dask-climate-7f3a
#SBATCH --output="/data/it's 100%% a #1 place & ünï/a.%a.log"
#SBATCH --open-mode=append
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=1
#SBATCH --account="the \"account\" \\ of #1"
#SBATCH --comment="it's \"a\" comment $HOME `id`"
#SBATCH --no-requeue

exec true
