#!/usr/bin/env bash
#PBS -N dask-climate-7f3a
#PBS -j oe
#PBS -o /dev/null
#PBS -m n
#PBS -r n
#PBS -l nodes=1:ppn=1
#PBS -q 'long jobs'
#PBS -A 'it'"'"'s "the" `id` of #1 \ $HOME'
exec >>'/data/it'"'"'s 100% a #1 place & ünï $(id)/a:b.'"${PBS_ARRAYID:-0}".log 2>&1

exec true
