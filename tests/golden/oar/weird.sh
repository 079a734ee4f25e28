#!/usr/bin/env bash
#OAR --name dask-climate-7f3a
#OAR --resource /nodes=1/core=1
#OAR --stdout /dev/null
#OAR --stderr /dev/null

exec >>'/data/it'"'"'s 100% a #1 $HOME `id` "place" & ünï/a.'"$((OAR_ARRAY_INDEX - 1))".log 2>&1
exec true
