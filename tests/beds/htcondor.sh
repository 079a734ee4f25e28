#!/bin/bash
# A test HTCondor 23.9 on one machine: a pool of one machine in a root of Debian 13, without systemd.
#
#   htcondor.sh start [--cpus N] [--mem MIB]   8 processors and 16 GiB unless said otherwise, cut into slots as jobs ask
#   htcondor.sh stop | status | install | python
#   htcondor.sh pause | resume       stop condor_schedd in its tracks (its clients wait), let it go on
#   htcondor.sh exec [-u USER] [-C DIRECTORY] -- COMMAND...
#
# "python" prints the interpreter of a user of this pool: the root's own Python, with distributed in it.
# It takes no jobs of root. Two GPUs that do not exist are offered. Root and mounts are those of root.sh.
# Knob in the environment: DASK_HPC_BEDS (state directory).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

CPUS=8 MEM=16384 OFFSET=0
VERB=${1:-}; shift || true
COMMAND=() RUN_AS=root RUN_IN=/
while [ $# -gt 0 ]; do
  case $1 in
    --cpus) CPUS=$2; shift 2;;
    --mem) MEM=$2; shift 2;;
    -u) RUN_AS=$2; shift 2;;
    -C) RUN_IN=$2; shift 2;;
    --) shift; COMMAND=("$@"); break;;
    *) usage;;
  esac
done
need_root

. "$HERE/root.sh"
STATE=$BEDS/htcondor RUN=$BEDS/htcondor/run LOG=$BEDS/htcondor/log
MACHINE=$RUN/machine.pid CONFIG=$STATE/condor_config
PORT=19618 # moves up where it is taken
[ -f "$STATE/params" ] && [ "$VERB" != start ] && . "$STATE/params"

install() {
  make_state
  ensure_user "$BED_USER"
  root_install
  root_python
}
inside() { root_enter "$MACHINE" && "${ENTER[@]}" "$@"; }

# configuration -----------------------------------------------------------------------------------

condor_config() {
  cat <<C
RELEASE_DIR = /usr
LOCAL_DIR = $STATE
RUN = $STATE/condor/run
LOG = $LOG
LOCK = $STATE/condor/lock
SPOOL = $STATE/condor/spool
EXECUTE = $STATE/condor/execute
CRED_STORE_DIR = $STATE/condor/credentials
BIN = /usr/bin
SBIN = /usr/sbin
LIB = /usr/lib/condor
LIBEXEC = /usr/libexec/condor
SHARE = /usr/share/condor
# one machine
CONDOR_HOST = 127.0.0.1
NETWORK_INTERFACE = 127.0.0.1
COLLECTOR_HOST = 127.0.0.1:$((PORT + OFFSET))
SHARED_PORT_PORT = $((PORT + OFFSET))
DAEMON_LIST = MASTER COLLECTOR NEGOTIATOR SCHEDD STARTD
UID_DOMAIN = bed
TRUST_UID_DOMAIN = True
FILESYSTEM_DOMAIN = bed
SEC_DEFAULT_AUTHENTICATION_METHODS = FS
ALLOW_READ = *
ALLOW_WRITE = *
ALLOW_DAEMON = *
ALLOW_NEGOTIATOR = *
ALLOW_ADMINISTRATOR = root@*, condor@*
DISCARD_SESSION_KEYRING_ON_STARTUP = False
# hardware that is not there, no cgroups
NUM_CPUS = $CPUS
MEMORY = $MEM
MACHINE_RESOURCE_GPUs = GPU-0, GPU-1
NUM_SLOTS_TYPE_1 = 1
SLOT_TYPE_1 = 100%
SLOT_TYPE_1_PARTITIONABLE = True
BASE_CGROUP =
# jobs see the /tmp that tests see
MOUNT_UNDER_SCRATCH =
ENABLE_URL_TRANSFERS = False
# whoever asks gets it, and keeps it
START = True
RUNBENCHMARKS = False
SUSPEND = False
PREEMPT = False
KILL = False
RANK = 0
# fast answers
NEGOTIATOR_INTERVAL = 1
NEGOTIATOR_MIN_INTERVAL = 1
NEGOTIATOR_CYCLE_DELAY = 1
NEGOTIATOR_UPDATE_INTERVAL = 5
SCHEDD_INTERVAL = 2
SCHEDD_MIN_INTERVAL = 1
PERIODIC_EXPR_INTERVAL = 2
MAX_PERIODIC_EXPR_INTERVAL = 2
STARTER_UPDATE_INTERVAL = 2
UPDATE_INTERVAL = 2
POLLING_INTERVAL = 1
CLAIM_WORKLIFE = 0
JOB_START_DELAY = 0
MASTER_BACKOFF_CEILING = 5
MAX_JOBS_PER_SUBMISSION = 500
C
}
configure() {
  mkdir -p "$RUN" "$LOG" "$STATE"/condor/{run,lock,spool,execute,credentials}
  chmod 755 "$STATE" "$LOG" "$STATE/condor/execute"
  rm -f "$LOG"/*
  OFFSET=$(free_offset $PORT) || die "no free ports"
  condor_config >"$CONFIG"
  printf 'CPUS=%s MEM=%s OFFSET=%s\n' "$CPUS" "$MEM" "$OFFSET" >"$STATE/params"
}

# daemons -----------------------------------------------------------------------------------------

answers() { # the schedd is there, and the machine offers a slot
  inside condor_q -allusers && [ -n "$(inside condor_status -af Name)" ]
}
start_daemons() {
  rm -rf "$STATE"/condor/{run,lock,spool,execute,credentials}/*
  inside chown -R condor: "$STATE/condor" "$LOG"
  root_enter "$MACHINE" || die "no machine"
  spawn "$RUN/master.pid" "$LOG/master.out" "${ENTER[@]}" condor_master -f
  wait_for 60 answers || { tail -n 5 "$LOG"/{master.out,MasterLog,SchedLog} >&2; die "HTCondor does not answer, see $LOG"; }
}
daemon_ids() { # NAME : of the processes of this name, seen from here
  local pid
  for pid in $(descendants "$(pid_of "$RUN/master.pid")"); do
    [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ] && echo "$pid"
  done
}
signal_schedd() { # SIGNAL
  local pids
  pids=$(daemon_ids condor_schedd)
  [ -n "$pids" ] || die "condor_schedd is not running"
  kill "-$1" $pids
}

start() {
  local started
  install
  if pid_alive "$RUN/master.pid"; then mend; log "already running"; return; fi
  started=$(now)
  root_down "$MACHINE"
  configure
  root_up "$MACHINE" "$LOG/machine.log" "$CONFIG:/etc/condor/condor_config"
  start_daemons
  log "up: $CPUS processors in $(since "$started") s"
}
mend() { # what an interrupted test left stopped
  . "$STATE/params"
  signal_schedd CONT
  wait_for 60 answers || die "HTCondor does not answer, see $LOG"
}
stop() {
  root_down "$MACHINE"
  rm -f "$RUN/master.pid"
  log "stopped"
}
status() {
  pid_alive "$RUN/master.pid" || { echo "htcondor: stopped"; exit 3; }
  echo "master: $(pid_of "$RUN/master.pid")"
  inside condor_status
}
run_command() {
  [ ${#COMMAND[@]} -gt 0 ] || usage
  root_enter "$MACHINE" || exit 1
  as_user "$RUN_AS" "$RUN_IN"
  # nsenter stays outside as the parent; when somebody ends it, the command must not live on.
  exec "${ENTER[@]}" setpriv --pdeathsig KILL "${AS_USER[@]}" "${COMMAND[@]}"
}

case $VERB in
  install) install;;
  start) start;;
  stop) stop;;
  status) status;;
  python) echo "$(root_environment)/bin/python";;
  pause) signal_schedd STOP;;
  resume) signal_schedd CONT;;
  exec) run_command;;
  *) usage;;
esac
