#!/bin/bash
# OpenMPI and MPICH from Debian, and mpi4py beside any environment; no daemons.
#   mpi.sh install | start | stop | status
# mpi4py is in $DASK_HPC_BEDS/mpi/site, for whoever puts that on PYTHONPATH: tests run with it and without.
# One wheel of it speaks to both libraries; Debian's MPICH has another file name than it expects, hence mpi/mpich.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
PYTHON=$HERE/../../.venv/bin/python
[ -x "$PYTHON" ] || PYTHON=python3

ready() {
  command -v mpirun.openmpi >/dev/null && command -v mpirun.mpich >/dev/null \
    && [ -e "$BEDS/mpi/mpich/libmpi.so.12" ] && [ -e "$BEDS/mpi/ready" ]
}

case "${1:-}" in
install | start)
  ready && exit 0
  need_root
  make_state
  apt_install openmpi-bin mpich
  mkdir -p "$BEDS/mpi/mpich"
  library=$(ls /usr/lib/*/libmpich.so.12) || die "Debian's mpich has no libmpich.so.12"
  ln -sf "$library" "$BEDS/mpi/mpich/libmpi.so.12"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check --no-input --no-deps --upgrade \
    --target "$BEDS/mpi/site" 'mpi4py>=4,<5' >"$BEDS/mpi/pip.log" 2>&1 || { tail -5 "$BEDS/mpi/pip.log" >&2; die "no mpi4py"; }
  touch "$BEDS/mpi/ready" ;;
stop) ;;
status) ready && echo "mpi: $BEDS/mpi" || exit 3 ;;
*) usage ;;
esac
