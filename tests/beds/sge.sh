#!/bin/bash
# A test Grid Engine on one machine (Debian's gridengine 8.1.9, Son of Grid Engine): sge_qmaster and an sge_execd per
# node, without systemd.
#
#   sge.sh start [--slots N] [--nodes N]  job ids start at 1; 8 slots a node unless said otherwise
#   sge.sh stop | status | install | env
#   sge.sh kill-node [N]           power a node off: sge_execd and all its jobs are gone, sge_qmaster finds out by itself
#   sge.sh start-node [N]          power it on again
#   sge.sh pause | resume          stop sge_qmaster in its tracks (its clients wait), let it go on
#   sge.sh exec [HOST] [-u USER] [-C DIRECTORY] -- COMMAND...
#
# Plain: one node, which is this machine.
# With --net on every verb: a cluster of its own with three nodes, whose hosts login (with sge_qmaster), node1 .. are separate
# machines for all that a program can see, see net.sh; not beside a Slurm with --net in the same state directory.
#
# Parallel environments: smp (one host), mpi (fill up), rr (round robin), each2 and each4 (so many slots on each host).
# Queues: all.q, and short.q with two minutes.
# h_vmem is counted for each slot, 16 GiB in all and 1 GiB unless asked for; gpu for each slot, 2 of them that are
# not there. Why jobs wait is told (schedd_job_info); the accounting is written at once.
# Shells of jobs read no profile, for a user's may do anything. Knobs in the environment: DASK_HPC_BEDS (state directory),
# those of net.sh.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SLOTS=8 NODES= SEPARATE=0 OFFSET=0
VERB=${1:-}; shift || true
ARGS=() COMMAND=() RUN_AS=root RUN_IN=/
while [ $# -gt 0 ]; do
  case $1 in
    --slots) SLOTS=$2; shift 2;;
    --nodes) NODES=$2; shift 2;;
    --net) SEPARATE=1; shift;;
    -u) RUN_AS=$2; shift 2;;
    -C) RUN_IN=$2; shift 2;;
    --) shift; COMMAND=("$@"); break;;
    -*) usage;;
    *) ARGS+=("$1"); shift;;
  esac
done
need_root

. "$HERE/net.sh"
export BED_NODE_COMMANDS=1 # the nodes of a Grid Engine have its commands
if [ "$SEPARATE" = 1 ]; then KIND=sge-net MASTER=login; : "${NODES:=3}"; else KIND=sge MASTER=$(hostname) NODES=1; fi
STATE=$BEDS/$KIND RUN=$BEDS/$KIND/run LOG=$BEDS/$KIND/log CONF=$BEDS/$KIND/conf SPOOL=$BEDS/$KIND/spool
INSTALLED=/var/lib/gridengine SHARE=/usr/share/gridengine
[ -f "$STATE/params" ] && [ "$VERB" != start ] && . "$STATE/params"
MASTER_PORT=16444 EXEC_PORT=16445 # all move up where these are taken
set_environment() {
  SETTING=(SGE_ROOT="$STATE/root" SGE_CELL=default SGE_QMASTER_PORT=$((MASTER_PORT + OFFSET)) SGE_EXECD_PORT=$((EXEC_PORT + OFFSET)))
  export "${SETTING[@]}"
}
set_environment

host_of() { if [ "$SEPARATE" = 1 ]; then echo "node$1"; else echo "$MASTER"; fi; } # NUMBER
node_hosts() { local number; for number in $(seq 1 "$NODES"); do host_of "$number"; done; }
# What runs a command where sge_qmaster lives.
on_master() { if [ "$SEPARATE" = 1 ]; then host_enter login; else ENTER=(); fi; }
at_master() { on_master && "${ENTER[@]}" "$@"; }

install() {
  local package
  make_state
  if [ ! -x /usr/sbin/sge_execd ] && command -v debconf-set-selections >/dev/null; then
    for package in common master client exec; do
      printf "gridengine-$package shared/%s\n" "gridenginemaster string localhost" "gridenginecell string default" \
        "gridengineconfig boolean false"
    done | debconf-set-selections
  fi
  apt_install gridengine-master gridengine-exec gridengine-client iproute2 procps util-linux
  ensure_user "$BED_USER"
}

# configuration -----------------------------------------------------------------------------------

as_admin() { at_master runuser -u sgeadmin -- env "${SETTING[@]}" "$@"; }
set_object() { # OPTION NAME : qconf reads a file, that of the standard input
  cat >"$CONF/$2"; chmod 644 "$CONF/$2"
  as_admin qconf "$1" "$CONF/$2" >>"$LOG/qconf.log" 2>&1
}

cell() { # a new root beside the installed one, so that two state directories do not meet
  local name
  rm -rf "$SPOOL" "$STATE/root"
  mkdir -p "$STATE/root/default/common" "$SPOOL"/{database,qmaster/job_scripts,execd} "$CONF" "$LOG" "$RUN"
  for name in bin lib util utilbin; do ln -s "$INSTALLED/$name" "$STATE/root/$name"; done
  sed -e "s|^spooling_params .*|spooling_params $SPOOL/database|" -e "s|^qmaster_spool_dir .*|qmaster_spool_dir $SPOOL/qmaster|" \
    $SHARE/default-bootstrap >"$STATE/root/default/common/bootstrap"
  echo "$MASTER" >"$STATE/root/default/common/act_qmaster"
  # The name of this machine often resolves to an address whose name is localhost: they are one host.
  [ "$SEPARATE" = 1 ] || printf '%s localhost\n' "$MASTER" >"$STATE/root/default/common/host_aliases"
  chown -R sgeadmin: "$SPOOL" "$STATE/root" "$CONF"
  chmod 755 "$STATE" "$CONF" "$LOG" "$SPOOL" "$SPOOL/execd"
  as_admin $SHARE/scripts/init_cluster "$STATE/root" default "$SPOOL/database" sgeadmin >"$LOG/init.log" 2>&1 ||
    { tail -n 5 "$LOG/init.log" >&2; die "init_cluster failed"; }
}

global_configuration() {
  as_admin qconf -sconf | sed -e ':a;/\\$/{N;s/\\\n//;ba}' -e '/^#/d' -e '/^$/d' \
    -e '/^\(execd_spool_dir\|min_uid\|min_gid\|load_report_time\|max_unheard\|finished_jobs\|login_shells\|mailer\|reporting_params\|execd_params\) /d'
  cat <<C
execd_spool_dir $SPOOL/execd
min_uid 0
min_gid 0
load_report_time 00:00:02
max_unheard 00:00:10
finished_jobs 100
login_shells csh
mailer /bin/true
reporting_params accounting=true reporting=false flush_time=00:00:01 accounting_flush_time=00:00:00 joblog=false sharelog=00:00:00
execd_params none
C
}
scheduler_configuration() {
  as_admin qconf -ssconf | sed -e 's/^\(schedule_interval\) .*/\1 0:0:1/' -e 's/^\(flush_submit_sec\|flush_finish_sec\) .*/\1 1/' \
    -e 's/^\(load_adjustment_decay_time\) .*/\1 0:0:0/' -e 's/^\(job_load_adjustments\) .*/\1 NONE/' -e 's/^\(schedd_job_info\) .*/\1 true/'
}
complexes() {
  as_admin qconf -sc | sed -e 's/^h_vmem .*/h_vmem h_vmem MEMORY <= YES YES 1G 0/'
  echo "gpu gpu INT <= YES YES 0 0"
}
host() { # NAME
  printf '%s\n' "hostname $1" "load_scaling NONE" "complex_values slots=$SLOTS,h_vmem=16G,gpu=2" "user_lists NONE" \
    "xuser_lists NONE" "projects NONE" "xprojects NONE" "usage_scaling NONE" "report_variables NONE"
}
parallel_environment() { # NAME RULE
  printf '%s\n' "pe_name $1" "slots 999" "user_lists NONE" "xuser_lists NONE" "start_proc_args NONE" "stop_proc_args NONE" \
    "allocation_rule $2" "control_slaves TRUE" "job_is_first_task FALSE" "urgency_slots min" "accounting_summary FALSE" "qsort_args NONE"
}
queue() { # NAME LIMIT
  local name
  printf '%s\n' "qname $1" "hostlist @allhosts" "seq_no 0" "nsuspend 1" "suspend_interval 00:05:00" "priority 0" \
    "min_cpu_interval 00:05:00" "processors UNDEFINED" "qtype BATCH INTERACTIVE" "pe_list smp mpi rr each2 each4" "rerun FALSE" \
    "slots $SLOTS" "tmpdir /tmp" "shell /bin/sh" "shell_start_mode posix_compliant" "notify 00:00:05" "initial_state default" "h_rt $2"
  for name in load_thresholds suspend_thresholds ckpt_list prolog epilog starter_method suspend_method resume_method \
    terminate_method owner_list user_lists xuser_lists subordinate_list complex_values projects xprojects calendar; do echo "$name NONE"; done
  for name in s_rt {s,h}_{cpu,fsize,data,stack,core,rss,vmem}; do echo "$name INFINITY"; done
}
configure() {
  local name number
  as_admin qconf -am root >/dev/null 2>&1
  for name in "$MASTER" $(node_hosts); do as_admin qconf -ah "$name"; as_admin qconf -as "$name"; done >/dev/null 2>&1
  global_configuration | set_object -Mconf global || die "qconf refused the configuration, see $LOG/qconf.log"
  scheduler_configuration | set_object -Msconf scheduler || die "qconf refused the scheduler, see $LOG/qconf.log"
  complexes | set_object -Mc complexes || die "qconf refused the resources, see $LOG/qconf.log"
  for name in $(node_hosts); do
    host "$name" | set_object -Ae "$name" || host "$name" | set_object -Me "$name" || die "qconf refused $name, see $LOG/qconf.log"
  done
  printf '%s\n' "group_name @allhosts" "hostlist $(node_hosts | xargs)" | set_object -Ahgrp allhosts
  parallel_environment smp '$pe_slots' | set_object -Ap smp
  parallel_environment mpi '$fill_up' | set_object -Ap mpi
  parallel_environment rr '$round_robin' | set_object -Ap rr
  for number in 2 4; do parallel_environment "each$number" "$number" | set_object -Ap "each$number"; done
  queue all.q INFINITY | set_object -Aq all.q && queue short.q 00:02:00 | set_object -Aq short.q ||
    die "qconf refused a queue, see $LOG/qconf.log"
}

# daemons -----------------------------------------------------------------------------------------

start_node() { # NUMBER
  local name=execd.$1 as=(env "${SETTING[@]}" SGE_ND=1) ENTER
  pid_alive "$RUN/$name.pid" && return 0
  if [ "$SEPARATE" = 1 ]; then
    host_up "node$1"; host_enter "node$1"
    spawn "$RUN/$name.pid" "$LOG/$name.out" "${ENTER[@]}" "${as[@]}" sge_execd
  elif can_separate_pids; then
    spawn "$RUN/$name.pid" "$LOG/$name.out" "${as[@]}" "${AS_NODE[@]}" bash -c 'sge_execd & wait $!'
  else
    spawn "$RUN/$name.pid" "$LOG/$name.out" "${as[@]}" sge_execd
  fi
}
kill_node() { # NUMBER
  if [ "$SEPARATE" = 1 ]; then host_down "node$1"; rm -f "$RUN/execd.$1.pid"; else power_off "$RUN/execd.$1.pid"; fi
}
signal_master() { # SIGNAL : the recorded process may be nsenter, with sge_qmaster below it
  local pid
  pid=$(pid_of "$RUN/qmaster.pid") || die "sge_qmaster is not running"
  kill "-$1" $(descendants "$pid") "$pid"
}
# A node that is not up has a sixth field, its state.
nodes_are_up() { [ "$(at_master qstat -f -q all.q 2>/dev/null | awk '/^all\.q@/ && NF == 5' | wc -l)" -ge "$NODES" ]; }

start() {
  local started number
  install
  if pid_alive "$RUN/qmaster.pid"; then mend; log "already running"; return; fi
  started=$(now)
  if [ "$SEPARATE" = 1 ]; then net_up "$NODES"; else OFFSET=$(free_offset $MASTER_PORT $EXEC_PORT) || die "no free ports"; fi
  set_environment
  cell
  printf 'SLOTS=%s NODES=%s OFFSET=%s\n' "$SLOTS" "$NODES" "$OFFSET" >"$STATE/params"
  on_master || die "no master"
  spawn "$RUN/qmaster.pid" "$LOG/qmaster.out" "${ENTER[@]}" env "${SETTING[@]}" SGE_ND=1 sge_qmaster
  wait_for 20 as_admin qconf -sh ||
    { tail -n 5 "$SPOOL/qmaster/messages" "$LOG/qmaster.out" >&2; die "sge_qmaster does not answer, see $LOG"; }
  configure
  for number in $(seq 1 "$NODES"); do start_node "$number"; done
  wait_for 30 nodes_are_up || { at_master qstat -f; tail -n 5 "$SPOOL"/execd/*/messages; die "nodes are not up, see $LOG"; } >&2
  log "up: $NODES nodes with $SLOTS slots each in $(since "$started") s"
}
mend() { # what an interrupted test left stopped or dead
  local number
  . "$STATE/params"
  set_environment
  signal_master CONT
  for number in $(seq 1 "$NODES"); do start_node "$number"; done
  wait_for 30 nodes_are_up || die "the nodes did not come back"
}
stop() {
  local number
  pid_alive "$RUN/qmaster.pid" && signal_master CONT
  for number in $(seq 1 "$NODES"); do kill_node "$number"; done
  pid_stop "$RUN/qmaster.pid" TERM 10
  [ "$SEPARATE" = 0 ] || net_down
  log "stopped"
}
status() {
  local file
  pid_alive "$RUN/qmaster.pid" || { echo "$KIND: stopped"; exit 3; }
  for file in "$RUN"/*.pid; do echo "$(basename "$file" .pid): $(pid_of "$file" || echo dead)"; done
  at_master qstat -f
}

case $VERB in
  install) install;;
  start) start;;
  stop) stop;;
  status) status;;
  env) printf "export %s\n" "${SETTING[@]}";;
  pause) signal_master STOP;;
  resume) signal_master CONT;;
  kill-node) kill_node "${ARGS[0]:-1}";;
  start-node) start_node "${ARGS[0]:-1}"; wait_for 30 nodes_are_up || die "the node did not come back";;
  exec) run_command;;
  *) usage;;
esac
