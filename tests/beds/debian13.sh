#!/bin/bash
# A machine of Debian 13 with a batch system of that release: Slurm 24.11 or OAR 2.6, each in one of its own.
#
#   debian13.sh start slurm | oar            what SYSTEM.sh starts, in a root of Debian 13
#   debian13.sh stop SYSTEM                  power it off
#   debian13.sh exec SYSTEM [-u USER] [-C DIRECTORY] -- COMMAND...
#   debian13.sh VERB SYSTEM [WORD]           any other verb of SYSTEM.sh there: status, pause, resume ..
#   debian13.sh install | python | image
#
# "python" prints the interpreter of its users: the root's own, with what tests need. "image" makes a directory that is
# an image for containers, with Debian 13's Python and distributed in it, and prints its path.
# The machine has a network of its own, with one address, and reaches nothing. Root and mounts are those of root.sh.
# Knob in the environment: DASK_HPC_BEDS (state directory); in the machine it is another one.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

VERB=${1:-}; shift || true
ARGS=() COMMAND=() RUN_AS=root RUN_IN=/
while [ $# -gt 0 ]; do
  case $1 in
    -u) RUN_AS=$2; shift 2;;
    -C) RUN_IN=$2; shift 2;;
    --) shift; COMMAND=("$@"); break;;
    -*) usage;;
    *) ARGS+=("$1"); shift;;
  esac
done
need_root

. "$HERE/root.sh"
ROOT_ADDRESS=192.0.2.1
SYSTEM=none; [ ${#ARGS[@]} = 0 ] || SYSTEM=${ARGS[-1]} # after the words of a verb
STATE=$BEDS/debian13/$SYSTEM
MACHINE=$STATE/machine.pid

install() {
  make_state
  ensure_user "$BED_USER"
  root_install
  root_python
}
# Slurm 24.11 takes nodes that answer for dead now and then where it waits for three seconds only.
SETTING=(DASK_HPC_BEDS="$STATE" BED_KEEP= BED_SLURM_TIMEOUT="${BED_SLURM_TIMEOUT:-20}")
inside() { root_enter "$MACHINE" && "${ENTER[@]}" env "${SETTING[@]}" "$@"; }

boot() {
  mkdir -p "$STATE"
  printf '127.0.0.1 localhost\n%s %s\n' $ROOT_ADDRESS "$(hostname)" >"$STATE/hosts"
  echo '# no DNS here' >"$STATE/resolv.conf"
  # Where OAR 2.6 looks for the slices that systemd would make, and whom it asks for them.
  ln -sfn /dev/cpuset/oar "$ROOT/oar.slice"
  root_up "$MACHINE" "$STATE/machine.log" "$STATE/hosts:/etc/hosts" "$STATE/resolv.conf:/etc/resolv.conf" \
    "$HERE/oar_busctl.sh:/usr/local/bin/busctl"
}
start() {
  local started
  install
  started=$(now)
  boot
  inside "$HERE/$SYSTEM.sh" start || exit
  log "$SYSTEM: up in $(since "$started") s"
}
stop() {
  root_down "$MACHINE"
  log "$SYSTEM: stopped"
}
status() {
  pid_alive "$MACHINE" || { echo "$SYSTEM: stopped"; exit 3; }
  inside "$HERE/$SYSTEM.sh" status
}
run_command() {
  [ ${#COMMAND[@]} -gt 0 ] || usage
  root_enter "$MACHINE" || exit 1
  as_user "$RUN_AS" "$RUN_IN"
  # nsenter stays outside as the parent; when somebody ends it, the command must not live on.
  exec "${ENTER[@]}" setpriv --pdeathsig KILL "${AS_USER[@]}" DASK_HPC_BEDS="$STATE" "${COMMAND[@]}"
}

image() { # its files are those of root and environment, by links
  local place packages
  place=$(root_environment).image
  packages=$(root_environment)/lib/python3.13/site-packages
  exec {root_lock}>"$place.lock"
  flock "$root_lock"
  if [ ! -e "$place/image" ]; then
    rm -rf "$place"
    mkdir -p "$place"/{dev,proc,sys,tmp,run,mnt,home,root,var/tmp}
    { cp -al "$ROOT"/{bin,etc,lib,lib64,sbin,usr} "$place/" &&
      cp -al "$packages"/. "$place/usr/local/lib/python3.13/dist-packages/" &&
      touch "$place/image"; } || die "no image in $place"
  fi
  exec {root_lock}>&-
  echo "$place"
}

case $VERB in install | python | image) ;; *) [ -x "$HERE/$SYSTEM.sh" ] || usage;; esac
case $VERB in
  install) install;;
  start) start;;
  stop) stop;;
  status) status;;
  python) echo "$(root_environment)/bin/python";;
  image) image;;
  exec) run_command;;
  '') usage;;
  *) inside "$HERE/$SYSTEM.sh" "$VERB" "${ARGS[@]::${#ARGS[@]}-1}";;
esac
