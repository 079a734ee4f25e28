#!/bin/bash
# A test Slurm on one machine: munge, slurmctld, a slurmd per node (slurmdbd and MariaDB), without systemd.
#
#   slurm.sh start [--nodes N] [--cpus N] [--mem MIB] [--accounting]
#   slurm.sh stop | status | install | env
#   slurm.sh kill-node N [--now]   power a node off: slurmd, steps and tasks are gone; --now tells slurmctld too
#   slurm.sh start-node N          power it on again
#   slurm.sh drain-node N | resume-node N
#   slurm.sh pause | resume        stop slurmctld in its tracks (its clients wait), let it go on
#   slurm.sh exec [HOST] [-u USER] [-C DIRECTORY] -- COMMAND...
#
# Plain: all daemons on 127.0.0.1 of this machine.
# With --net (or BED_NET=1) on every verb: a cluster of its own, whose hosts login, node1 .. and laptop are
# separate machines for all that a program can see, see net.sh; both kinds may run at once.
# Knobs in the environment: DASK_HPC_BEDS (state directory), BED_SLURM_EXTRA (more lines for slurm.conf),
# BED_SLURM_TIMEOUT (SlurmdTimeout, 3), BED_SLURM_JOBS (MaxJobCount, 20000), BED_SLURM_OVERMEM=1 (ends jobs above their memory), BED_SLURM_KEEP=1 (jobs
# survive a restart), those of net.sh.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NODES=4 CPUS=4 MEM=4096 ACCOUNTING=0 SEPARATE=${BED_NET:-0} OFFSET=0
VERB=${1:-}; shift || true
ARGS=() COMMAND=() NOW=0 RUN_AS=root RUN_IN=/
while [ $# -gt 0 ]; do
  case $1 in
    --nodes) NODES=$2; shift 2;;
    --cpus) CPUS=$2; shift 2;;
    --mem) MEM=$2; shift 2;;
    --accounting) ACCOUNTING=1; shift;;
    --net) SEPARATE=1; shift;;
    --now) NOW=1; shift;;
    -u) RUN_AS=$2; shift 2;;
    -C) RUN_IN=$2; shift 2;;
    --) shift; COMMAND=("$@"); break;;
    -*) usage;;
    *) ARGS+=("$1"); shift;;
  esac
done
need_root

. "$HERE/net.sh"
if [ "$SEPARATE" = 1 ]; then KIND=slurm-net CLUSTER=bednet SCRATCH=$NET/local CONTROLLER=login
else KIND=slurm CLUSTER=bed SCRATCH=$BEDS/slurm/local CONTROLLER=127.0.0.1; fi
STATE=$BEDS/$KIND RUN=$BEDS/$KIND/run LOG=$BEDS/$KIND/log CONF=$BEDS/$KIND/etc
MUNGE=$STATE/munge/munge.socket
export SLURM_CONF=$CONF/slurm.conf
[ -f "$STATE/params" ] && [ "$VERB" != start ] && . "$STATE/params"

# The ports of 127.0.0.1 may be taken, then all move up; separate hosts have theirs to themselves.
CONTROLLER_PORT=16817 DATABASE_PORT=16819 SQL_PORT=13306 NODE_PORT=16840 # and one more for each node
choose_ports() { OFFSET=$(free_offset $CONTROLLER_PORT $DATABASE_PORT $SQL_PORT $(seq $((NODE_PORT + 1)) $((NODE_PORT + NODES)))) || die "no free ports"; }

# Words that run a command where slurmctld lives.
on_controller() { if [ "$SEPARATE" = 1 ]; then host_enter login || return 1; else ENTER=(); fi; }
control() { on_controller && "${ENTER[@]}" "$@"; }

install() {
  make_state
  apt_install iproute2 munge slurmctld slurmd slurm-client libpmix-dev util-linux procps
  [ $ACCOUNTING = 0 ] || apt_install slurmdbd mariadb-server
  ensure_user "$BED_USER"
}

# configuration -----------------------------------------------------------------------------------

slurm_conf() {
  local number address name
  cat <<C
ClusterName=$CLUSTER
SlurmctldHost=$([ "$SEPARATE" = 1 ] && echo login || echo "$(hostname -s)(127.0.0.1)")
SlurmctldPort=$((CONTROLLER_PORT + OFFSET))
AuthType=auth/munge
# A job that was requeued waits as long as a credential lives; 5 is the least.
AuthInfo=socket=$MUNGE,cred_expire=5
CredType=cred/munge
SlurmUser=slurm
StateSaveLocation=$STATE/state
SlurmdSpoolDir=$STATE/spool/%n
SlurmctldPidFile=$RUN/slurmctld.self.pid
SlurmdPidFile=$RUN/slurmd.%n.self.pid
SlurmctldLogFile=$LOG/slurmctld.log
SlurmdLogFile=$LOG/slurmd.%n.log
# hardware that is not there, no cgroups, no affinity
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=512
GresTypes=gpu
ReturnToService=2
# fast answers
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1,bf_continue,sched_min_interval=10000,requeue_delay=1
SlurmctldTimeout=10
SlurmdTimeout=${BED_SLURM_TIMEOUT:-3}
MessageTimeout=5
TCPTimeout=2
InactiveLimit=0
KillWait=3
WaitTime=0
CompleteWait=0
MinJobAge=600
MaxArraySize=10001
MaxJobCount=${BED_SLURM_JOBS:-20000}
JobRequeue=1
PropagateResourceLimits=NONE
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
C
  [ "${BED_SLURM_OVERMEM:-0}" = 1 ] && echo JobAcctGatherParams=OverMemoryKill
  [ -n "${BED_SLURM_EXTRA:-}" ] && printf '%s\n' "$BED_SLURM_EXTRA"
  if [ $ACCOUNTING = 1 ]; then
    printf 'AccountingStorage%s\n' Type=accounting_storage/slurmdbd Host=$CONTROLLER Port=$((DATABASE_PORT + OFFSET)) \
      Pass="$MUNGE" TRES=gres/gpu
  else echo AccountingStorageType=accounting_storage/none; fi
  for number in $(seq 1 "$NODES"); do
    name="NodeName=node$number CPUs=$CPUS RealMemory=$MEM State=UNKNOWN"
    [ "$number" = "$NODES" ] && name+=" Gres=gpu:2 Feature=gpu,ib" || name+=" Feature=ib"
    if [ "$SEPARATE" = 1 ]; then address="NodeAddr=node$number Port=6818"
    else address="NodeHostname=$(hostname -s) NodeAddr=127.0.0.1 Port=$((NODE_PORT + number + OFFSET))"; fi
    echo "$name $address"
  done
  cat <<C
PartitionName=batch    Nodes=ALL MaxTime=1-00:00:00 DefaultTime=01:00:00 PriorityTier=10 PreemptMode=OFF Default=YES
PartitionName=debug    Nodes=ALL MaxTime=00:02:00 DefaultTime=00:01:00 PriorityTier=20 PreemptMode=OFF MaxNodes=2
PartitionName=preempt  Nodes=ALL MaxTime=1-00:00:00 DefaultTime=01:00:00 PriorityTier=1 PreemptMode=REQUEUE GraceTime=3
PartitionName=scavenge Nodes=ALL MaxTime=1-00:00:00 DefaultTime=01:00:00 PriorityTier=1 PreemptMode=CANCEL GraceTime=3
C
}
slurmdbd_conf() {
  cat <<C
AuthType=auth/munge
AuthInfo=socket=$MUNGE
DbdHost=$([ "$SEPARATE" = 1 ] && echo login || hostname -s)
DbdAddr=$CONTROLLER
DbdPort=$((DATABASE_PORT + OFFSET))
SlurmUser=slurm
PidFile=$STATE/state/slurmdbd.self.pid
LogFile=$LOG/slurmdbd.log
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort=$((SQL_PORT + OFFSET))
StorageUser=slurm
StoragePass=slurm
StorageLoc=slurm_acct_db
CommitDelay=1
C
}
configure() {
  mkdir -p "$CONF" "$STATE"/{state,spool} "$LOG" "$RUN"
  chown slurm: "$STATE/state" "$LOG"; chmod 755 "$STATE" "$CONF" "$LOG"
  rm -f "$LOG"/*.out
  [ "$SEPARATE" = 1 ] || choose_ports
  slurm_conf >"$CONF/slurm.conf"
  # Any two character devices do as GPUs.
  echo "NodeName=node$NODES Name=gpu File=/dev/null,/dev/zero" >"$CONF/gres.conf"
  # The plugin is loaded even without cgroups; this one is quiet.
  echo "CgroupPlugin=cgroup/v1" >"$CONF/cgroup.conf"
  echo "PMIxCliTmpDirBase=$SCRATCH" >"$CONF/mpi.conf"
  : >"$CONF/plugstack.conf"
  if [ $ACCOUNTING = 1 ]; then
    slurmdbd_conf >"$CONF/slurmdbd.conf"; chown slurm: "$CONF/slurmdbd.conf"; chmod 600 "$CONF/slurmdbd.conf"
  fi
  printf 'NODES=%s CPUS=%s MEM=%s ACCOUNTING=%s OFFSET=%s\n' "$NODES" "$CPUS" "$MEM" "$ACCOUNTING" "$OFFSET" >"$STATE/params"
}

# daemons -----------------------------------------------------------------------------------------

start_munge() {
  pid_alive "$RUN/munged.pid" && return 0
  mkdir -p "$STATE/munge"
  [ -s "$STATE/munge/munge.key" ] || dd if=/dev/urandom of="$STATE/munge/munge.key" bs=128 count=1 status=none
  chmod 600 "$STATE/munge/munge.key"; chown -R munge: "$STATE/munge"; chmod 711 "$STATE/munge"
  rm -f "$MUNGE" "$MUNGE.lock"
  spawn "$RUN/munged.pid" "$LOG/munged.out" setpriv --reuid munge --regid munge --clear-groups \
    munged --foreground --socket "$MUNGE" --key-file "$STATE/munge/munge.key" --pid-file "$STATE/munge/munged.pid" \
    --log-file "$STATE/munge/munged.log" --seed-file "$STATE/munge/munged.seed" --num-threads 4
  wait_for 10 munge -n -S "$MUNGE" || die "munged does not answer, see $LOG/munged.out"
}

start_database() {
  local data=$STATE/mysql socket=$STATE/mysql/socket host
  on_controller || die "no controller"
  if ! pid_alive "$RUN/mariadbd.pid"; then
    if [ ! -d "$data/mysql" ]; then
      mkdir -p "$data"; chown mysql: "$data"
      mariadb-install-db --no-defaults --user=mysql --datadir="$data" --skip-test-db \
        --auth-root-authentication-method=normal >"$LOG/mariadb-install.log" 2>&1 || die "mariadb-install-db failed, see $LOG"
    fi
    spawn "$RUN/mariadbd.pid" "$LOG/mariadbd.log" "${ENTER[@]}" mariadbd --no-defaults --user=mysql --datadir="$data" \
      --socket="$socket" --port=$((SQL_PORT + OFFSET)) --bind-address=127.0.0.1 --pid-file="$data/pid" --skip-log-bin \
      --performance-schema=OFF --innodb-buffer-pool-size=64M --innodb-flush-log-at-trx-commit=2 --innodb-lock-wait-timeout=900
    wait_for 20 mariadb -u root -S "$socket" -e 'select 1' || die "mariadbd does not answer, see $LOG/mariadbd.log"
    { echo "create database if not exists slurm_acct_db;"
      for host in 127.0.0.1 localhost; do
        echo "create user if not exists 'slurm'@'$host' identified by 'slurm'; grant all on slurm_acct_db.* to 'slurm'@'$host';"
      done; } | mariadb -u root -S "$socket"
  fi
  if ! pid_alive "$RUN/slurmdbd.pid"; then
    spawn "$RUN/slurmdbd.pid" "$LOG/slurmdbd.out" "${ENTER[@]}" setpriv --reuid slurm --regid slurm --clear-groups slurmdbd -D
    wait_for 20 control sacctmgr -n show cluster || die "slurmdbd does not answer, see $LOG/slurmdbd.log"
  fi
  control sacctmgr -n show cluster format=cluster | grep -qw "$CLUSTER" || control sacctmgr -i add cluster "$CLUSTER" >/dev/null
  control sacctmgr -n show account format=account | grep -qw testacct || {
    control sacctmgr -i add account testacct Description=test Organization=test
    control sacctmgr -i add user "root,$BED_USER" Account=testacct; } >/dev/null
}

start_controller() {
  on_controller || die "no controller"
  rm -f "$STATE/state/clustername"
  local fresh=(-c); [ "${BED_SLURM_KEEP:-0}" = 1 ] && fresh=()
  spawn "$RUN/slurmctld.pid" "$LOG/slurmctld.out" "${ENTER[@]}" slurmctld -D "${fresh[@]}"
}
signal_controller() { # SIGNAL : the recorded process may be nsenter, with slurmctld below it
  local pid
  pid=$(pid_of "$RUN/slurmctld.pid") || die "slurmctld is not running"
  kill "-$1" $(descendants "$pid") "$pid"
}

can_separate_pids() { unshare --pid --fork --mount-proc true 2>/dev/null; }
start_node() { # NUMBER
  local name=node$1 as
  pid_alive "$RUN/slurmd.$name.pid" && return 0
  mkdir -p "$STATE/spool/$name" "$SCRATCH" "$SCRATCH.$name"; chmod 1777 "$SCRATCH" "$SCRATCH.$name"
  rm -f "$RUN/slurmd.$name.self.pid"
  as=(env BED_NODE="$name" SCRATCH="$SCRATCH")
  if [ "$SEPARATE" = 1 ]; then
    host_up "$name"; host_enter "$name"
    spawn "$RUN/slurmd.$name.pid" "$LOG/slurmd.$name.out" "${ENTER[@]}" "${as[@]}" slurmd -D -N "$name"
  elif can_separate_pids; then
    # A PID namespace for each node: ending the recorded process powers the whole node off.
    spawn "$RUN/slurmd.$name.pid" "$LOG/slurmd.$name.out" "${as[@]}" unshare --pid --fork --kill-child=KILL --mount-proc \
      bash -c 'mount --bind "$SCRATCH.$BED_NODE" "$SCRATCH"; slurmd -D -N "$BED_NODE" & wait $!'
  else
    spawn "$RUN/slurmd.$name.pid" "$LOG/slurmd.$name.out" "${as[@]}" slurmd -D -N "$name"
  fi
}
kill_node() { # NUMBER
  local pid
  if [ "$SEPARATE" = 1 ]; then host_down "node$1"; rm -f "$RUN/slurmd.node$1.pid"; return; fi
  pid_stop "$RUN/slurmd.node$1.pid" KILL
  can_separate_pids && return
  # Without a PID namespace steps outlive slurmd; this bed's mark and the node's name are in their environment.
  for pid in /proc/[0-9]*; do
    tr '\0' '\n' <"$pid/environ" 2>/dev/null | grep -cxF -e "SLURM_CONF=$SLURM_CONF" -e "SLURMD_NODENAME=node$1" |
      grep -qx 2 && kill -KILL "${pid#/proc/}" 2>/dev/null
  done
}

need_second_address() { # Slurm does not find 127.0.0.1 where lo alone has an address (getaddrinfo's AI_ADDRCONFIG)
  [ -n "$(ip -o -4 addr show scope global)" ] || ip addr add 192.0.2.1/32 dev lo
}
all_idle() { [ "$(control sinfo -h -N -p batch -t idle -o %N | wc -l)" -ge "$NODES" ]; }
node_is_back() { control sinfo -h -n "node$1" -p batch -o %t | grep -qE '^(idle|mix|alloc|drain|drng|comp)$'; }

start_servers() { # sshd.sh may be up already; new hosts are its business too
  [ "$SEPARATE" = 0 ] || ! pid_alive "$BEDS/sshd/run/login.pid" || "$HERE/sshd.sh" start
}

start() {
  local started number
  install
  if pid_alive "$RUN/slurmctld.pid"; then mend; log "already running"; return; fi
  started=$(now)
  configure
  if [ "$SEPARATE" = 1 ]; then net_up "$NODES"; else need_second_address; fi
  start_munge
  [ $ACCOUNTING = 0 ] || start_database
  start_controller
  for number in $(seq 1 "$NODES"); do start_node "$number"; done
  start_servers
  wait_for 15 all_idle || { control sinfo; tail -n 3 "$LOG"/slurmd.*.out; die "nodes are not idle, see $LOG"; } >&2
  log "up: $NODES nodes with $CPUS CPUs each in $(since "$started") s"
}
mend() { # what an interrupted test left stopped, dead or drained
  local number
  . "$STATE/params"
  start_munge
  signal_controller CONT
  for number in $(seq 1 "$NODES"); do
    pid_alive "$RUN/slurmd.node$number.pid" && control sinfo -h -n "node$number" -p batch -t idle,mix,alloc,comp -o %N | grep -q . && continue
    start_node "$number"; control scontrol update nodename="node$number" state=resume 2>/dev/null
    wait_for 20 node_is_back "$number" || die "node$number did not come back"
  done
  start_servers
}
stop() {
  local file
  # A controller that is paused, or waits for dead nodes, would not end in time.
  pid_alive "$RUN/slurmctld.pid" && signal_controller CONT
  pid_stop "$RUN/slurmctld.pid" TERM 2
  for file in "$RUN"/slurmd.node*[0-9].pid; do
    [ -e "$file" ] && { file=${file##*node}; kill_node "${file%.pid}"; }
  done
  pid_stop "$RUN/slurmdbd.pid" TERM 2
  pid_stop "$RUN/mariadbd.pid" TERM 10
  pid_stop "$RUN/munged.pid" TERM 3
  if [ "$SEPARATE" = 1 ]; then net_down; else ip addr del 192.0.2.1/32 dev lo 2>/dev/null; fi
  log "stopped"
}
status() {
  local file
  pid_alive "$RUN/slurmctld.pid" || { echo "$KIND: stopped"; exit 3; }
  for file in "$RUN"/*.pid; do
    case $file in *.self.pid) continue;; esac
    echo "$(basename "$file" .pid): $(pid_of "$file" || echo dead)"
  done
  control sinfo -o '%P %a %l %D %t %N %C'
}

case $VERB in
  install) install;;
  start) start;;
  stop) stop;;
  status) status;;
  env) echo "export SLURM_CONF='$SLURM_CONF'";;
  pause) signal_controller STOP;;
  resume) signal_controller CONT;;
  kill-node) kill_node "${ARGS[0]}"; [ $NOW = 0 ] || control scontrol update nodename="node${ARGS[0]}" state=down reason=killed;;
  start-node)
    start_node "${ARGS[0]}"; start_servers
    control scontrol update nodename="node${ARGS[0]}" state=resume 2>/dev/null
    wait_for 20 node_is_back "${ARGS[0]}" || die "node${ARGS[0]} did not come back";;
  drain-node) control scontrol update nodename="node${ARGS[0]}" state=drain reason=test;;
  resume-node) control scontrol update nodename="node${ARGS[0]}" state=resume;;
  exec) run_command;;
  *) usage;;
esac
