#!/usr/bin/env bash
#OAR --name dask-climate-7f3a
#OAR --resource /nodes=2/gpu=4/core=9,walltime=26:00:00
#OAR --property (memnode >= 95368) AND (cputype = 'Xeon #1')
#OAR --queue premium
#OAR --project physics-1
#OAR --stdout /dev/null
#OAR --stderr /dev/null
#OAR --type besteffort
#OAR --hold

exec >>/home/ada/.local/state/dask-hpc/clusters/climate/logs/dask-climate-7f3a.0.log 2>&1
exec true
