# What the beds share (source me): packages, users, daemons by recorded pid, free ports.
set -u
BEDS_DEFAULT=/var/lib/dask-hpc-beds
BEDS=${DASK_HPC_BEDS:-$BEDS_DEFAULT}
BED_USER=${BED_USER:-hpcuser}
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LC_ALL=C.UTF-8

# Every network namespace and PAM service is named after the state directory, so that two of them do not meet.
NS=bed
[ "$BEDS" = $BEDS_DEFAULT ] || NS=bed$(( $(printf %s "$BEDS" | cksum | cut -d' ' -f1) % 10000 ))

IMPOSSIBLE=77 # the exit code for "not on this machine", as test harnesses use it
log()        { printf '[%s] %s\n' "$(basename "${0%.sh}")" "$*" >&2; }
die()        { log "error: $*"; exit 1; }
impossible() { log "not possible here: $*"; exit $IMPOSSIBLE; }
now()        { date +%s.%N; }
since()      { awk -v a="$1" -v b="$(now)" 'BEGIN { printf "%.2f", b - a }'; }
usage()      { sed -n '2,/^[^#]/{/^#/s/^# \{0,1\}//p}' "$0" >&2; exit 2; }
need_root()  { [ "$(id -u)" = 0 ] || impossible "only root can start it"; }

make_state() { mkdir -p "$BEDS/shared"; chmod 755 "$BEDS"; chmod 1777 "$BEDS/shared"; }

# packages and users ------------------------------------------------------------------------------

apt_install() { # PACKAGE... : what is missing, without starting daemons, after other runs of apt
  local missing=() package attempt made_policy=0 code=1
  for package in "$@"; do
    [ "$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null)" = "install ok installed" ] || missing+=("$package")
  done
  [ ${#missing[@]} = 0 ] && return 0
  command -v apt-get >/dev/null || impossible "no apt-get to install ${missing[*]}"
  log "apt-get install ${missing[*]}"
  if [ ! -e /usr/sbin/policy-rc.d ]; then
    printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d; made_policy=1
  fi
  local apt_log=$BEDS/apt.log
  for attempt in 1 2 3; do
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -y -q --no-install-recommends \
      "${missing[@]}" >"$apt_log" 2>&1 </dev/null && { code=0; break; }
    case $(<"$apt_log") in
      *"Unable to locate"*|*"no installation candidate"*|*" 404 "*) apt-get -o DPkg::Lock::Timeout=600 update -q >/dev/null 2>&1;;
      *"get lock"*|*"Unable to lock"*) sleep 3;;
      *) break;;
    esac
  done
  [ $made_policy = 1 ] && rm -f /usr/sbin/policy-rc.d
  [ $code = 0 ] || { tail -20 "$apt_log" >&2; die "apt-get failed, see $apt_log"; }
}

ensure_user() { id "$1" >/dev/null 2>&1 || useradd -m -s /bin/bash "$1"; }

# as_user USER [DIRECTORY] : the words that make a command run as this user there, set in AS_USER
as_user() {
  local home; home=$(getent passwd "$1" | cut -d: -f6)
  AS_USER=(setpriv --reuid "$1" --regid "$(id -g "$1")" --init-groups env -C "${2:-/}" HOME="$home" USER="$1" LOGNAME="$1")
}

# daemons -----------------------------------------------------------------------------------------
# A pid file holds "PID STARTTIME", so that a pid that was given out again is never signalled.

start_time() { # PID : field 22 of /proc/PID/stat; fails for the dead
  local text; text=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  set -- ${text##*) }
  [ "$1" != Z ] && [ "$1" != X ] && echo "${20}"
}
pid_alive() { # FILE
  local pid= started=
  [ -r "$1" ] && read -r pid started <"$1"
  [ -n "$pid" ] && [ "$(start_time "$pid")" = "$started" ]
}
pid_of() { pid_alive "$1" && cut -d' ' -f1 "$1"; }
pid_stop() { # FILE [SIGNAL] [SECONDS]
  local pid
  if pid=$(pid_of "$1"); then
    kill "-${2:-TERM}" "$pid" 2>/dev/null
    wait_for "${3:-5}" is_gone "$1" || { kill -KILL "$pid" 2>/dev/null; wait_for 5 is_gone "$1"; }
  fi
  rm -f "$1"
}
is_gone() { ! pid_alive "$1"; }
descendants() { # PID : every living descendant
  local child
  for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do echo "$child"; descendants "$child"; done
}
spawn() { # PIDFILE LOGFILE COMMAND... : start a daemon that stays in the foreground, record its pid
  local pid_file=$1 log_file=$2; shift 2
  # Its environment is clean: tests find, and end, what they started by variables that a caller may have set.
  setsid env -i PATH="$PATH" LC_ALL="$LC_ALL" ${SLURM_CONF:+SLURM_CONF="$SLURM_CONF"} "$@" </dev/null >>"$log_file" 2>&1 &
  local pid=$!
  disown $pid 2>/dev/null
  sleep 0.02
  echo "$pid $(start_time $pid)" >"$pid_file"
}
can_separate_pids() { unshare --pid --fork --mount-proc true 2>/dev/null; }
# Where that can be, a node is a PID namespace: ending the first process ends all that runs there.
AS_NODE=(unshare --pid --fork --kill-child=KILL --mount-proc)
power_off() { # PIDFILE : of a node's first process
  local pid
  can_separate_pids && { pid_stop "$1" KILL; return; }
  pid=$(pid_of "$1") && kill -KILL $(descendants "$pid") "$pid"
  rm -f "$1"
}
wait_for() { # SECONDS COMMAND... : until the command succeeds
  local end=$(( SECONDS + $1 )); shift
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $end ] || return 1
    sleep 0.05
  done
}

# ports -------------------------------------------------------------------------------------------

free_offset() { # PORT... : the first of 0, 50, 100 .. that makes all of these ports free
  local offset port taken
  taken=" $(ss -Hltn | awk '{ sub(/.*:/, "", $4); printf "%s ", $4 }')"
  for offset in $(seq 0 50 1000); do
    for port in "$@"; do case $taken in *" $((port + offset)) "*) continue 2;; esac; done
    echo "$offset"; return 0
  done
  return 1
}
