# Debian 13 in a directory of its own, for what this machine's Debian does not have (source me after lib.sh).
#
# The root is made once by debootstrap, from where apt gets this machine's packages, and named after its list of
# packages: another list is another root. What runs in it sees this machine's network, /tmp, /home, the beds' state
# directory, the checkout and BED_KEEP's directories at the same paths, and processes of its own. Its mounts are in
# a mount namespace, and end with the first process, whatever ends that one.
ROOT_SUITE=trixie
ROOT_PACKAGES=(python3 iproute2 procps util-linux)
ROOT_PACKAGES+=(condor)
ROOT_PACKAGES+=(munge slurmctld slurmd slurm-client libpmix-dev)
ROOT_PACKAGES+=(postgresql oar-server oar-server-pgsql oar-user oar-user-pgsql oar-node libjson-perl openssh-server)
ROOT_PACKAGES+=(charliecloud)
ROOT=$BEDS/debian13-$(printf '%s ' $ROOT_SUITE "${ROOT_PACKAGES[@]}" | cksum | cut -d' ' -f1)
CHECKOUT=$(cd "$HERE/../.." && pwd)

# making it ---------------------------------------------------------------------------------------

in_namespaces() { # COMMAND... : mounts and processes that it leaves behind end with it
  unshare --mount --pid --fork --kill-child=KILL --mount-proc "$@"
}
apt_setting() { local VALUE=; eval "$(apt-config shell VALUE "$1")"; echo "$VALUE"; }
apt_source() { # where this machine's own packages are from; nothing where that is not Debian
  apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 2>/dev/null | head -n 1
}

fetch_root() { # DIRECTORY : the least Debian that there is
  local source proxy
  source=$(apt_source)
  proxy=$(apt_setting Acquire::http::Proxy)
  [ -z "$proxy" ] || export http_proxy=$proxy
  in_namespaces debootstrap --variant=minbase $ROOT_SUITE "$1" $source >"$BEDS/debootstrap.log" 2>&1 && return 0
  tail -n 5 "$BEDS/debootstrap.log" >&2
  impossible "debootstrap cannot make Debian 13: $(tail -n 1 "$BEDS/debootstrap.log")"
}
fill_root() { # DIRECTORY : with the packages, without starting daemons
  local log=$BEDS/debian13-apt.log
  printf '#!/bin/sh\nexit 101\n' >"$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d"
  echo force-unsafe-io >"$1/etc/dpkg/dpkg.cfg.d/unsafe-io"
  apt-config dump | grep -E '^Acquire::https?::' >"$1/etc/apt/apt.conf.d/00outside"
  mkdir -p "$1/etc/ssl/certs"
  cp -L /etc/ssl/certs/ca-certificates.crt "$1/etc/ssl/certs/" 2>/dev/null
  cp -L /etc/resolv.conf "$1/etc/resolv.conf"
  # PostgreSQL's package would make a database of its own.
  mkdir -p "$1/etc/postgresql-common"
  echo 'create_main_cluster = false' >"$1/etc/postgresql-common/createcluster.conf"
  in_namespaces env DEBIAN_FRONTEND=noninteractive bash -c '
    mount -t proc proc "$0/proc" && mount --rbind /dev "$0/dev" || exit
    chroot "$0" apt-get install -y -q --no-install-recommends "$@"' "$1" "${ROOT_PACKAGES[@]}" >"$log" 2>&1 </dev/null ||
    { tail -n 20 "$log" >&2; impossible "no packages of Debian 13, see $log"; }
  rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*
}
root_install() {
  local started
  [ -e "$ROOT/ready" ] && return 0
  make_state
  in_namespaces true 2>/dev/null || impossible "no namespaces for a root of its own"
  apt_install debootstrap util-linux iproute2 procps
  exec {root_lock}>"$BEDS/debian13.lock"
  flock "$root_lock"
  if [ ! -e "$ROOT/ready" ]; then
    started=$(now)
    rm -rf --one-file-system "$ROOT.new" "$ROOT"
    fetch_root "$ROOT.new"
    fill_root "$ROOT.new"
    mv "$ROOT.new" "$ROOT"
    touch "$ROOT/ready"
    log "made Debian 13 in $(since "$started") s: $ROOT"
  fi
  exec {root_lock}>&-
}

# a machine in it ---------------------------------------------------------------------------------

root_account() { # USER : as it is here
  local line
  line=$(getent passwd "$1"); grep -qxF "$line" "$ROOT/etc/passwd" || echo "$line" >>"$ROOT/etc/passwd"
  line=$(getent group "$(id -g "$1")"); grep -qxF "$line" "$ROOT/etc/group" || echo "$line" >>"$ROOT/etc/group"
}
ROOT_ADDRESS= # of a machine with a network of its own, which reaches nothing; without one, the network is this machine's
root_up() { # PIDFILE LOGFILE FILE:PATH... : namespaces, mounts, first process; files that cover those of the root
  local pid_file=$1 log_file=$2; shift 2
  pid_alive "$pid_file" && return 0
  root_account "$BED_USER"
  spawn "$pid_file" "$log_file" env ROOT="$ROOT" KEEP="$BEDS:$CHECKOUT:${BED_KEEP:-}" ADDRESS="$ROOT_ADDRESS" \
    unshare --mount --pid --fork --kill-child=KILL ${ROOT_ADDRESS:+--net} bash "$HERE/root_init.sh" "$@"
  wait_for 30 root_ready "$pid_file" || { tail -n 5 "$log_file" >&2; die "no machine in $ROOT"; }
}
root_init() { # PIDFILE : pid, seen from here, of the first process in it
  local pid
  pid=$(pid_of "$1") || return 1
  set -- $(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
  [ -n "${1:-}" ] && echo "$1"
}
root_enter() { # PIDFILE : the words that enter it, set in ENTER
  local pid
  pid=$(root_init "$1") || { log "the machine in $ROOT is down"; ENTER=(false); return 1; }
  ENTER=(nsenter -t "$pid" -m -p -n --)
}
root_ready() { root_enter "$1" 2>/dev/null && "${ENTER[@]}" test -e /run/up; }
root_down() { pid_stop "$1" KILL; } # power off: whatever runs in it dies, and its mounts go

# Python in it ------------------------------------------------------------------------------------

# What users of the root have: its own Python, with the releases that the tests are pinned to. This machine's pip
# brings them, as it is set up here.
ROOT_REQUIREMENTS=(distributed cryptography msgspec platformdirs rich pytest pytest-asyncio pytest-timeout hypothesis)
root_pins() { sed -n 's/^\([A-Za-z0-9_.-]*==[^ ]*\) .*/\1/p' "$CHECKOUT/requirements/dev.lock" | sort -u; }
root_environment() {
  echo "$BEDS/environments/$(basename "$ROOT")-$({ root_pins; echo "${ROOT_REQUIREMENTS[@]}"; } | cksum | cut -d' ' -f1)"
}
no_packages() { # LOG : says why pip failed
  tail -n 5 "$1" >&2
  impossible "no packages of Python 3.13, see $1"
}
root_python() { # makes the environment, once for each list of releases
  local place python=$CHECKOUT/.venv/bin/python
  place=$(root_environment)
  [ -e "$place/ready" ] && return 0
  [ -x "$python" ] || python=python3
  mkdir -p "$BEDS/environments"
  exec {root_lock}>"$place.lock"
  flock "$root_lock"
  if [ ! -e "$place/ready" ]; then
    rm -rf "$place"
    in_namespaces bash -c 'mkdir -p "$0$1" && mount --bind "$1" "$0$1" && chroot "$0" python3 -m venv --without-pip "$2"' \
      "$ROOT" "$BEDS" "$place" || die "no environment in the root"
    root_pins >"$place/pins"
    "$python" -m pip install --quiet --disable-pip-version-check --no-input --only-binary :all: --python-version 3.13 \
      --implementation cp --target "$place/lib/python3.13/site-packages" --constraint "$place/pins" "${ROOT_REQUIREMENTS[@]}" \
      >"$place.log" 2>&1 || no_packages "$place.log"
    touch "$place/ready"
  fi
  exec {root_lock}>&-
}
