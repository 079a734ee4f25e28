#!/bin/bash
# A test Grid Engine on one machine (Debian's gridengine 8.1.9, Son of Grid Engine): sge_qmaster and one sge_execd,
# without systemd.
#
#   sge.sh start [--slots N]       job ids start at 1; 8 slots unless said otherwise
#   sge.sh stop | status | install | env
#   sge.sh kill-node | start-node  power the one node off (sge_execd and all its jobs are gone), and on again
#   sge.sh pause | resume          stop sge_qmaster in its tracks (its clients wait), let it go on
#   sge.sh exec [-u USER] [-C DIRECTORY] -- COMMAND...
#
# Parallel environments: smp (one host), mpi (fill up), rr (round robin). Queues: all.q, and short.q with two minutes.
# h_vmem is counted for each slot, 16 GiB in all and 1 GiB unless asked for; gpu for each slot, 2 of them that are
# not there. Why jobs wait is told (schedd_job_info); the accounting is written at once.
# Shells of jobs read no profile, for a user's may do anything. Knobs in the environment: DASK_HPC_BEDS (state directory).
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

SLOTS=8 OFFSET=0
VERB=${1:-}; shift || true
COMMAND=() RUN_AS=root RUN_IN=/
while [ $# -gt 0 ]; do
  case $1 in
    --slots) SLOTS=$2; shift 2;;
    -u) RUN_AS=$2; shift 2;;
    -C) RUN_IN=$2; shift 2;;
    --) shift; COMMAND=("$@"); break;;
    *) usage;;
  esac
done
need_root

STATE=$BEDS/sge RUN=$BEDS/sge/run LOG=$BEDS/sge/log CONF=$BEDS/sge/conf SPOOL=$BEDS/sge/spool
INSTALLED=/var/lib/gridengine SHARE=/usr/share/gridengine
HOST=$(hostname)
[ -f "$STATE/params" ] && [ "$VERB" != start ] && . "$STATE/params"
MASTER_PORT=16444 EXEC_PORT=16445 # all move up where these are taken
set_environment() {
  SETTING=(SGE_ROOT="$STATE/root" SGE_CELL=default SGE_QMASTER_PORT=$((MASTER_PORT + OFFSET)) SGE_EXECD_PORT=$((EXEC_PORT + OFFSET)))
  export "${SETTING[@]}"
}
set_environment

install() {
  local package
  make_state
  if [ ! -x /usr/sbin/sge_execd ] && command -v debconf-set-selections >/dev/null; then
    for package in common master client exec; do
      printf "gridengine-$package shared/%s\n" "gridenginemaster string localhost" "gridenginecell string default" \
        "gridengineconfig boolean false"
    done | debconf-set-selections
  fi
  apt_install gridengine-master gridengine-exec gridengine-client procps util-linux
  ensure_user "$BED_USER"
}

# configuration -----------------------------------------------------------------------------------

as_admin() { runuser -u sgeadmin -- env "${SETTING[@]}" "$@"; }
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
  echo "$HOST" >"$STATE/root/default/common/act_qmaster"
  # The name often resolves to an address whose name is localhost: they are one host.
  printf '%s localhost\n' "$HOST" >"$STATE/root/default/common/host_aliases"
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
host() {
  printf '%s\n' "hostname $HOST" "load_scaling NONE" "complex_values slots=$SLOTS,h_vmem=16G,gpu=2" "user_lists NONE" \
    "xuser_lists NONE" "projects NONE" "xprojects NONE" "usage_scaling NONE" "report_variables NONE"
}
parallel_environment() { # NAME RULE
  printf '%s\n' "pe_name $1" "slots 999" "user_lists NONE" "xuser_lists NONE" "start_proc_args NONE" "stop_proc_args NONE" \
    "allocation_rule $2" "control_slaves TRUE" "job_is_first_task FALSE" "urgency_slots min" "accounting_summary FALSE" "qsort_args NONE"
}
queue() { # NAME LIMIT
  local name
  printf '%s\n' "qname $1" "hostlist @allhosts" "seq_no 0" "nsuspend 1" "suspend_interval 00:05:00" "priority 0" \
    "min_cpu_interval 00:05:00" "processors UNDEFINED" "qtype BATCH INTERACTIVE" "pe_list smp mpi rr" "rerun FALSE" \
    "slots $SLOTS" "tmpdir /tmp" "shell /bin/sh" "shell_start_mode posix_compliant" "notify 00:00:05" "initial_state default" "h_rt $2"
  for name in load_thresholds suspend_thresholds ckpt_list prolog epilog starter_method suspend_method resume_method \
    terminate_method owner_list user_lists xuser_lists subordinate_list complex_values projects xprojects calendar; do echo "$name NONE"; done
  for name in s_rt {s,h}_{cpu,fsize,data,stack,core,rss,vmem}; do echo "$name INFINITY"; done
}
configure() {
  as_admin qconf -am root >/dev/null 2>&1
  as_admin qconf -ah "$HOST" >/dev/null 2>&1
  as_admin qconf -as "$HOST" >/dev/null 2>&1
  global_configuration | set_object -Mconf global || die "qconf refused the configuration, see $LOG/qconf.log"
  scheduler_configuration | set_object -Msconf scheduler || die "qconf refused the scheduler, see $LOG/qconf.log"
  complexes | set_object -Mc complexes || die "qconf refused the resources, see $LOG/qconf.log"
  host | set_object -Ae "$HOST" || host | set_object -Me "$HOST" || die "qconf refused the host, see $LOG/qconf.log"
  printf '%s\n' "group_name @allhosts" "hostlist $HOST" | set_object -Ahgrp allhosts
  parallel_environment smp '$pe_slots' | set_object -Ap smp
  parallel_environment mpi '$fill_up' | set_object -Ap mpi
  parallel_environment rr '$round_robin' | set_object -Ap rr
  queue all.q INFINITY | set_object -Aq all.q && queue short.q 00:02:00 | set_object -Aq short.q ||
    die "qconf refused a queue, see $LOG/qconf.log"
}

# daemons -----------------------------------------------------------------------------------------

can_separate_pids() { unshare --pid --fork --mount-proc true 2>/dev/null; }
start_node() {
  local as=(env "${SETTING[@]}" SGE_ND=1)
  pid_alive "$RUN/execd.pid" && return 0
  # In a PID namespace, for ending the recorded process ends the daemon and every job.
  if can_separate_pids; then
    spawn "$RUN/execd.pid" "$LOG/execd.out" "${as[@]}" unshare --pid --fork --kill-child=KILL --mount-proc bash -c 'sge_execd & wait $!'
  else
    spawn "$RUN/execd.pid" "$LOG/execd.out" "${as[@]}" sge_execd
  fi
}
kill_node() {
  local pid
  can_separate_pids && { pid_stop "$RUN/execd.pid" KILL; return; }
  pid=$(pid_of "$RUN/execd.pid") && kill -KILL $(descendants "$pid") "$pid"
  rm -f "$RUN/execd.pid"
}
signal_master() { # SIGNAL
  local pid
  pid=$(pid_of "$RUN/qmaster.pid") || die "sge_qmaster is not running"
  kill "-$1" "$pid"
}
node_is_up() { qstat -f -q all.q 2>/dev/null | awk '/^all\.q@/ { found = NF == 5 } END { exit !found }'; }

start() {
  local started
  install
  if pid_alive "$RUN/qmaster.pid"; then mend; log "already running"; return; fi
  started=$(now)
  OFFSET=$(free_offset $MASTER_PORT $EXEC_PORT) || die "no free ports"
  set_environment
  cell
  printf 'SLOTS=%s OFFSET=%s\n' "$SLOTS" "$OFFSET" >"$STATE/params"
  spawn "$RUN/qmaster.pid" "$LOG/qmaster.out" env "${SETTING[@]}" SGE_ND=1 sge_qmaster
  wait_for 20 as_admin qconf -sh ||
    { tail -n 5 "$SPOOL/qmaster/messages" "$LOG/qmaster.out" >&2; die "sge_qmaster does not answer, see $LOG"; }
  configure
  start_node
  wait_for 30 node_is_up || { qstat -f; tail -n 5 "$SPOOL"/execd/*/messages; die "the node is not up, see $LOG"; } >&2
  log "up: $SLOTS slots in $(since "$started") s"
}
mend() { # what an interrupted test left stopped or dead
  . "$STATE/params"
  set_environment
  signal_master CONT
  start_node
  wait_for 30 node_is_up || die "the node did not come back"
}
stop() {
  pid_alive "$RUN/qmaster.pid" && signal_master CONT
  kill_node
  pid_stop "$RUN/qmaster.pid" TERM 10
  log "stopped"
}
status() {
  pid_alive "$RUN/qmaster.pid" || { echo "sge: stopped"; exit 3; }
  echo "qmaster: $(pid_of "$RUN/qmaster.pid")"
  echo "execd: $(pid_of "$RUN/execd.pid" || echo dead)"
  qstat -f
}

case $VERB in
  install) install;;
  start) start;;
  stop) stop;;
  status) status;;
  env) printf "export %s\n" "${SETTING[@]}";;
  pause) signal_master STOP;;
  resume) signal_master CONT;;
  kill-node) kill_node;;
  start-node) start_node; wait_for 30 node_is_up || die "the node did not come back";;
  exec)
    [ ${#COMMAND[@]} -gt 0 ] || usage
    as_user "$RUN_AS" "$RUN_IN"
    exec setpriv --pdeathsig KILL "${AS_USER[@]}" "${COMMAND[@]}";;
  *) usage;;
esac
