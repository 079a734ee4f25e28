#!/usr/bin/env bash
#OAR --name dask-climate-7f3a
#OAR --resource /nodes=1/core=1
#OAR --property (memnode >= 1024)
#OAR --stdout /dev/null
#OAR --stderr /dev/null

exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a.0.log 2>&1
exec true
