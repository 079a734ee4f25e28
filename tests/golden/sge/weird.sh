#!/usr/bin/env bash
#$ -N dask-climate-7f3a
#$ -S /bin/bash
#$ -j y
#$ -o /dev/null
#$ -r n
#$ -ac "comment=it_s _a_ comment _HOME _id_"
exec >>'/data/it'"'"'s 100% a #1 place, $HOME: & ünï/a.'"$(( (${SGE_TASK_ID#undefined}+0) ? ${SGE_TASK_ID#undefined}-1+0 : 0 ))".log 2>&1 || exit 1

exec true
