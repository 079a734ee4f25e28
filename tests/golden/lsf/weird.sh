#!/usr/bin/env bash
#BSUB -J "dask-climate-7f3a[1-2]"
#BSUB -Jd "it's a comment $HOME `id`"
#BSUB -o /dev/null
#BSUB -n 1
#BSUB -R "span[hosts=1]"
#BSUB -P "the account #1 of $USER"
#BSUB -rn
exec >>'/data/it'"'"'s 100% a #1 place & ünï/a.'"$((${LSB_JOBINDEX:-0} > 0 ? ${LSB_JOBINDEX:-0} - 1 : 0))".log 2>&1

exec true
