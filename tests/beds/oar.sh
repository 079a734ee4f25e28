#!/bin/bash
# A test OAR 2.5 on one machine: Almighty, its PostgreSQL, an sshd per node, without systemd.
#
#   oar.sh start [--nodes N] [--cores N]
#   oar.sh stop | status | install
#   oar.sh kill-node N             power a node off: its sshd and all that runs there are gone; OAR is not told
#   oar.sh start-node N            power it on again
#   oar.sh pause | resume          stop the database in its tracks (its clients wait), let it go on
#   oar.sh exec [-u USER] [-C DIRECTORY] -- COMMAND...
#
# Nodes are the addresses 127.0.0.11, 127.0.0.12 .. of this machine, and a PID namespace each. OAR's commands read
# /etc/oar/oar.conf and no other file, so there is one bed of this kind on a machine; Debian's own file is kept beside
# it and comes back with stop.
# Knob in the environment: DASK_HPC_BEDS (state directory).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NODES=2 CORES=4
VERB=${1:-}; shift || true
NUMBER= COMMAND=() RUN_AS=root RUN_IN=/
while [ $# -gt 0 ]; do
  case $1 in
    --nodes) NODES=$2; shift 2;;
    --cores) CORES=$2; shift 2;;
    -u) RUN_AS=$2; shift 2;;
    -C) RUN_IN=$2; shift 2;;
    --) shift; COMMAND=("$@"); break;;
    -*) usage;;
    *) NUMBER=$1; shift;;
  esac
done
need_root

STATE=$BEDS/oar RUN=$BEDS/oar/run LOG=$BEDS/oar/log DATA=$BEDS/oar/postgres
CONF=/etc/oar/oar.conf
ALMIGHTY_PORT=6666 SSH_PORT=6667 SQL_PORT=15432

install() {
  make_state
  # Debian's package would start a database of its own.
  mkdir -p /etc/postgresql-common
  [ -e /etc/postgresql-common/createcluster.conf ] || echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf
  apt_install postgresql oar-server oar-server-pgsql oar-user oar-user-pgsql oar-node libjson-perl openssh-server util-linux iproute2 procps
  ensure_user "$BED_USER"
}

# configuration -----------------------------------------------------------------------------------

set_value() { # KEY VALUE : in oar.conf, whether it is there, commented out or missing
  sed -i -E "/^#?$1=/d" "$CONF"
  echo "$1=\"$2\"" >>"$CONF"
}
oar_conf() {
  cp -a "$CONF.debian" "$CONF"
  set_value SERVER_HOSTNAME localhost
  set_value SERVER_PORT $ALMIGHTY_PORT
  set_value DB_PORT $SQL_PORT
  set_value DB_BASE_PASSWD oar
  set_value DB_BASE_PASSWD_RO oar_ro
  set_value LOG_FILE "$LOG/oar.log"
  set_value LOG_LEVEL 3
  # Without cgroups: "cpusets" that are plain files, which is all that oarsh and oarexec ask for.
  set_value JOB_RESOURCE_MANAGER_FILE "$STATE/job_resource_manager.pl"
  set_value OPENSSH_CMD "/usr/bin/ssh -p $SSH_PORT -e none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
  # fast answers
  set_value SCHEDULER_JOB_SECURITY_TIME 1
  set_value SCHEDULER_GANTT_HOLE_MINIMUM_TIME 1
  set_value SCHEDULER_MIN_TIME_BETWEEN_2_CALLS 0
  set_value FINAUD_FREQUENCY 0
}
address_of() { echo "127.0.0.$((10 + $1))"; } # NUMBER
sshd_config() { # NUMBER
  printf 'Port %s\nListenAddress %s\n' $SSH_PORT "$(address_of "$1")"
  cat <<'C'
HostKey /etc/oar/oar_ssh_host_rsa_key
PermitRootLogin no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 1024
AcceptEnv OAR_CPUSET OAR_USER_CPUSET OAR_USER_GPUDEVICE OAR_JOB_USER
PermitUserEnvironment yes
AllowUsers oar
UsePAM no
PidFile none
C
}
configure() {
  mkdir -p "$STATE" "$RUN" "$LOG" /run/sshd; chmod 755 "$STATE" "$LOG"
  [ -e "$CONF.debian" ] || cp -a "$CONF" "$CONF.debian"
  touch "$RUN/conf-is-ours"
  command install -m 755 "$HERE/oar_job_resource_manager.pl" "$STATE/job_resource_manager.pl"
  oar_conf
  # Where oarsh and the resource manager look for the processes of a job; each node has one of its own there.
  mkdir -p /dev/cpuset/oar; chown oar /dev/cpuset/oar
  rm -rf "$STATE"/cpuset.node*
  : >"$LOG/oar.log"; chown oar "$LOG/oar.log"
  # An account that is locked may not log in, not even with a key.
  passwd -u oar >/dev/null 2>&1 || usermod -p '*' oar
}

# daemons -----------------------------------------------------------------------------------------

start_database() { # a fresh one
  local programs
  programs=$(ls -d /usr/lib/postgresql/*/bin | tail -n 1)
  as_user postgres
  rm -rf "$DATA"
  command install -d -o postgres -m 700 "$DATA"
  command install -d -o postgres "$STATE/socket"
  "${AS_USER[@]}" "$programs/initdb" -D "$DATA" -A trust -E UTF8 --locale=C >"$LOG/initdb.log" 2>&1 || die "initdb failed, see $LOG/initdb.log"
  spawn "$RUN/postgres.pid" "$LOG/postgres.log" "${AS_USER[@]}" "$programs/postgres" -D "$DATA" -p $SQL_PORT -h 127.0.0.1 \
    -k "$STATE/socket" -c fsync=off
  wait_for 20 "$programs/pg_isready" -h 127.0.0.1 -p $SQL_PORT || die "postgres does not answer, see $LOG/postgres.log"
  oar-database --create --db-admin-user=postgres --db-admin-pass=x --force-yes >"$LOG/oar-database.log" 2>&1 ||
    die "oar-database failed, see $LOG/oar-database.log"
}
start_node() { # NUMBER
  local name=node$1 files=$STATE/cpuset.node$1 config=$STATE/sshd_config.node$1
  pid_alive "$RUN/$name.pid" && return 0
  rm -rf "$files"; command install -d -o oar "$files"
  sshd_config "$1" >"$config"
  if can_separate_pids; then
    spawn "$RUN/$name.pid" "$LOG/$name.log" env FILES="$files" CONFIG="$config" "${AS_NODE[@]}" \
      bash -c 'mount --bind "$FILES" /dev/cpuset/oar; /usr/sbin/sshd -D -e -f "$CONFIG" & wait $!'
  else
    spawn "$RUN/$name.pid" "$LOG/$name.log" /usr/sbin/sshd -D -e -f "$config"
  fi
  wait_for 10 listens "$(address_of "$1")" $SSH_PORT || die "$name does not listen, see $LOG/$name.log"
}
listens() { bash -c "exec 3<>/dev/tcp/$1/$2"; } # ADDRESS PORT
start_servers() {
  local number
  for number in $(seq 1 "$NODES"); do start_node "$number"; done
  spawn "$RUN/almighty.pid" "$LOG/almighty.log" setpriv --reuid oar --regid oar --init-groups env HOME=/var/lib/oar USER=oar \
    /usr/sbin/Almighty
  wait_for 10 listens 127.0.0.1 $ALMIGHTY_PORT || die "Almighty does not listen, see $LOG/almighty.log"
}
add_nodes() {
  local number core count=0
  { oarproperty -c -a host; oarproperty -a core; oarproperty -a mem; } >>"$LOG/nodes.log" 2>&1
  for number in $(seq 1 "$NODES"); do
    for core in $(seq 1 "$CORES"); do
      count=$((count + 1))
      oarnodesetting -a -h "$(address_of "$number")" -p host="node$number" -p core=$count -p cpuset=$((core - 1)) \
        -p mem=4096 >>"$LOG/nodes.log" 2>&1
    done
    oarnodesetting -s Alive -h "$(address_of "$number")" >>"$LOG/nodes.log" 2>&1
  done
  # One more that is switched off: jobs for it are taken, and wait.
  oarnodesetting -a -h "$(address_of $((NODES + 1)))" -p host="node$((NODES + 1))" -p core=$((count + 1)) -p cpuset=0 \
    -p mem=4096 >>"$LOG/nodes.log" 2>&1
  oarnodesetting -s Absent -h "$(address_of $((NODES + 1)))" >>"$LOG/nodes.log" 2>&1
}
all_alive() { [ "$(oarnodes -s | grep -c Alive)" -ge "$NODES" ]; }
signal_database() { # SIGNAL : to all of its processes
  local pid
  pid=$(pid_of "$RUN/postgres.pid") || die "postgres is not running"
  kill "-$1" "$pid" $(descendants "$pid")
}

start() {
  local started port
  install
  if pid_alive "$RUN/almighty.pid"; then
    mend; log "already running"; return
  fi
  started=$(now)
  for port in $ALMIGHTY_PORT $SSH_PORT $SQL_PORT; do
    [ -z "$(ss -Hltn "sport = :$port")" ] || die "port $port is taken: is another OAR up?"
  done
  configure
  start_database
  start_servers
  add_nodes
  wait_for 15 all_alive || die "nodes are not alive, see $LOG/nodes.log"
  log "up: $NODES nodes with $CORES cores each in $(since "$started") s"
}
revive() { # NUMBER : OAR suspects a node that it could not reach
  start_node "$1"
  oarnodesetting -s Alive -h "$(address_of "$1")" >>"$LOG/nodes.log" 2>&1
}
mend() { # what an interrupted test left stopped or dead
  local number
  signal_database CONT
  for number in $(seq 1 "$NODES"); do { pid_alive "$RUN/node$number.pid" && all_alive; } || revive "$number"; done
  wait_for 15 all_alive || die "nodes are not alive"
}
end_tree() { # PIDFILE SIGNAL : a daemon, then what it had started
  local pid children=
  pid=$(pid_of "$1") && children=$(descendants "$pid")
  pid_stop "$1" "$2" 5
  [ -z "$children" ] || kill -TERM $children 2>/dev/null
}
stop() {
  local file
  pid_alive "$RUN/postgres.pid" && signal_database CONT
  end_tree "$RUN/almighty.pid" TERM
  for file in "$RUN"/node*.pid; do power_off "$file"; done
  # Without namespaces, what watches a job on its node outlives its sshd; the only OAR here is this one.
  can_separate_pids || [ ! -e "$RUN/conf-is-ours" ] || pkill -KILL -u oar -f ' OAREXEC$'
  pid_stop "$RUN/postgres.pid" INT 5
  # It may be that of a bed with another state directory.
  [ ! -e "$RUN/conf-is-ours" ] || { cp -a "$CONF.debian" "$CONF"; rm "$RUN/conf-is-ours"; }
  log "stopped"
}
status() {
  local file
  pid_alive "$RUN/almighty.pid" || { echo "oar: stopped"; exit 3; }
  for file in "$RUN"/*.pid; do echo "$(basename "$file" .pid): $(pid_of "$file" || echo dead)"; done
  oarnodes -s
}
run_command() {
  [ ${#COMMAND[@]} -gt 0 ] || usage
  as_user "$RUN_AS" "$RUN_IN"
  exec setpriv --pdeathsig KILL "${AS_USER[@]}" "${COMMAND[@]}"
}

case $VERB in
  install) install;;
  start) start;;
  stop) stop;;
  status) status;;
  pause) signal_database STOP;;
  resume) signal_database CONT;;
  kill-node) power_off "$RUN/node$NUMBER.pid";;
  start-node) revive "$NUMBER"; wait_for 15 all_alive || die "node$NUMBER did not come back";;
  exec) run_command;;
  *) usage;;
esac
