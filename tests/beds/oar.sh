#!/bin/bash
# A test OAR 2.5 on one machine: Almighty, its PostgreSQL, a node's sshd, without systemd.
#
#   oar.sh start [--nodes N] [--cores N]
#   oar.sh stop | status | install
#   oar.sh pause | resume          stop the database in its tracks (its clients wait), let it go on
#   oar.sh exec [-u USER] [-C DIRECTORY] -- COMMAND...
#
# Nodes are the addresses 127.0.0.11, 127.0.0.12 .. of this machine. OAR's commands read /etc/oar/oar.conf and no other file,
# so there is one bed of this kind on a machine; Debian's own file is kept beside it and comes back with stop.
# Knob in the environment: DASK_HPC_BEDS (state directory).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

NODES=2 CORES=4
VERB=${1:-}; shift || true
COMMAND=() RUN_AS=root RUN_IN=/
while [ $# -gt 0 ]; do
  case $1 in
    --nodes) NODES=$2; shift 2;;
    --cores) CORES=$2; shift 2;;
    -u) RUN_AS=$2; shift 2;;
    -C) RUN_IN=$2; shift 2;;
    --) shift; COMMAND=("$@"); break;;
    *) usage;;
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
sshd_config() {
  local number
  printf 'Port %s\nListenAddress 127.0.0.1\n' $SSH_PORT
  for number in $(seq 1 "$NODES"); do echo "ListenAddress 127.0.0.$((10 + number))"; done
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
  command install -m 755 "$HERE/oar_job_resource_manager.pl" "$STATE/job_resource_manager.pl"
  oar_conf
  sshd_config >"$STATE/sshd_config"
  # Where oarsh and the resource manager look for the processes of a job.
  mkdir -p /dev/cpuset/oar; chown oar /dev/cpuset/oar
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
start_servers() {
  spawn "$RUN/sshd.pid" "$LOG/sshd.log" /usr/sbin/sshd -D -e -f "$STATE/sshd_config"
  spawn "$RUN/almighty.pid" "$LOG/almighty.log" setpriv --reuid oar --regid oar --init-groups env HOME=/var/lib/oar USER=oar \
    /usr/sbin/Almighty
  wait_for 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$ALMIGHTY_PORT" || die "Almighty does not listen, see $LOG/almighty.log"
}
add_nodes() {
  local number core count=0
  { oarproperty -c -a host; oarproperty -a core; oarproperty -a mem; } >>"$LOG/nodes.log" 2>&1
  for number in $(seq 1 "$NODES"); do
    for core in $(seq 1 "$CORES"); do
      count=$((count + 1))
      oarnodesetting -a -h "127.0.0.$((10 + number))" -p host="node$number" -p core=$count -p cpuset=$((core - 1)) \
        -p mem=4096 >>"$LOG/nodes.log" 2>&1
    done
    oarnodesetting -s Alive -h "127.0.0.$((10 + number))" >>"$LOG/nodes.log" 2>&1
  done
  # One more that is switched off: jobs for it are taken, and wait.
  oarnodesetting -a -h "127.0.0.$((11 + NODES))" -p host="node$((NODES + 1))" -p core=$((count + 1)) -p cpuset=0 \
    -p mem=4096 >>"$LOG/nodes.log" 2>&1
  oarnodesetting -s Absent -h "127.0.0.$((11 + NODES))" >>"$LOG/nodes.log" 2>&1
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
    signal_database CONT; all_alive || die "nodes are not alive"; log "already running"; return
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
end_tree() { # PIDFILE SIGNAL : a daemon, then what it had started
  local pid children=
  pid=$(pid_of "$1") && children=$(descendants "$pid")
  pid_stop "$1" "$2" 5
  [ -z "$children" ] || kill -TERM $children 2>/dev/null
}
stop() {
  pid_alive "$RUN/postgres.pid" && signal_database CONT
  end_tree "$RUN/almighty.pid" TERM
  end_tree "$RUN/sshd.pid" TERM
  pkill -KILL -u oar -f ' OAREXEC$' # what watches a job on its node outlives the server, and this one is the only OAR here
  pid_stop "$RUN/postgres.pid" INT 5
  if [ -e "$CONF.debian" ]; then cp -a "$CONF.debian" "$CONF"; fi
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
  exec) run_command;;
  *) usage;;
esac
