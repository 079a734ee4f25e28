#!/bin/bash
# Test SSH servers, which only 127.0.0.1 reaches, without systemd.
#
#   sshd.sh start | stop | status | install
#
#   port 2201     login      a key, then a shell on this machine
#   port 2202     login-2fa  a key, then password and one-time code, by PAM
#   port 2203     gate       a jump host: a key, forwarding alone (no shell, no command)
#   10.79.0.2:22  inner      listens in a network namespace that only gate reaches; its shell is on this machine again
#   port 2204     netlogin   while `slurm.sh start --net` is up: a shell on its host login; its nodes run sshd too
#
# Users at its hosts laptop and desk get there as from home, with config.laptop:
#   jump          a jump host, as gate
#   cluster       behind it: a key, password and one-time code, then a shell on login; cluster-key, a key alone
#
# Ports move up together where they are taken. For clients, in $DASK_HPC_BEDS/sshd/client: config, id_ed25519 and
# known_hosts; a user needs a key of its own, hence config.USER:
#   ssh -F $DASK_HPC_BEDS/sshd/client/config inner hostname
# The password of the test user is set to BED_SSH_PASSWORD: for test machines only.
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
VERB=${1:-}
need_root
. "$HERE/net.sh"
STATE=$BEDS/sshd RUN=$BEDS/sshd/run LOG=$BEDS/sshd/log CLIENT=$BEDS/sshd/client ETC=$BEDS/sshd/etc
PASSWORD=${BED_SSH_PASSWORD:-testpassword}
SECRET=${BED_TOTP_SECRET:-JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP} # protects nothing
GATE=$NS-gate PAM=$NS-sshd2fa
OFFSET=0
[ -f "$STATE/params" ] && [ "$VERB" != start ] && . "$STATE/params"

install() {
  make_state
  apt_install openssh-server openssh-client libpam-google-authenticator iproute2 util-linux nftables python3 tcsh fish zsh ksh busybox
  ensure_user "$BED_USER"
}

# configuration -----------------------------------------------------------------------------------

keys() {
  [ -f "$ETC/host_key" ] || ssh-keygen -q -t ed25519 -N '' -C bed-host -f "$ETC/host_key"
  [ -f "$CLIENT/id_ed25519" ] || ssh-keygen -q -t ed25519 -N '' -C bed-user -f "$CLIENT/id_ed25519"
  command install -m 644 "$CLIENT/id_ed25519.pub" "$ETC/authorized_keys"
  # ssh insists on a private key that only its user can read.
  command install -m 600 -o "$BED_USER" "$CLIENT/id_ed25519" "$CLIENT/id_ed25519.$BED_USER"
}
server() { # WHICH-SLURM : what all servers have in common
  cat <<C
HostKey $ETC/host_key
AuthorizedKeysFile $ETC/authorized_keys
StrictModes no
PermitRootLogin no
AllowUsers $BED_USER
PasswordAuthentication no
UseDNS no
PidFile none
LogLevel VERBOSE
MaxStartups 200
MaxSessions 50
PrintMotd no
AcceptEnv LANG LC_* DASK_HPC_TEST_* PYTEST_CURRENT_TEST
SetEnv SLURM_CONF=$BEDS/$1/etc/slurm.conf
Subsystem sftp /usr/lib/openssh/sftp-server
C
}
servers() {
  local plain="UsePAM no
KbdInteractiveAuthentication no"
  { server slurm; echo "$plain"; echo "ListenAddress 127.0.0.1:$((2201 + OFFSET))"; } >"$ETC/login"
  { server slurm; echo "$plain"; } >"$ETC/inner"
  { server slurm-net; echo "$plain"; } >"$ETC/net"
  { server slurm; echo "$plain"; printf '%s\n' 'PermitTTY no' 'X11Forwarding no' 'AllowAgentForwarding no' \
      'ForceCommand echo "jump host: no shell here"; exit 1'; } >"$ETC/gate"
  local two="UsePAM yes
KbdInteractiveAuthentication yes
AuthenticationMethods publickey,keyboard-interactive"
  { server slurm; echo "$two"; echo "ListenAddress 127.0.0.1:$((2202 + OFFSET))"; } >"$ETC/2fa"
  { server slurm-net; echo "$two"; echo 'ListenAddress 10.74.0.1:2222'; } >"$ETC/net-2fa"
}
second_factor() {
  # The PAM service is named after the program: a link gives this server one of its own.
  ln -sf /usr/sbin/sshd "$ETC/$PAM"
  printf '%s\n' "$SECRET" '" RATE_LIMIT 100 30' '" WINDOW_SIZE 17' '" TOTP_AUTH' >"$ETC/totp.$BED_USER"
  chown root: "$ETC/totp.$BED_USER"; chmod 600 "$ETC/totp.$BED_USER"
  cat >"/etc/pam.d/$PAM" <<C
auth    required pam_unix.so
auth    required pam_google_authenticator.so user=root secret=$ETC/totp.$BED_USER no_increment_hotp
account required pam_permit.so
session required pam_permit.so
C
  echo "$BED_USER:$PASSWORD" | chpasswd
}
options() { # USER
  cat <<C
Host *
  User $BED_USER
  IdentityFile $CLIENT/id_ed25519${1:+.$1}
  IdentitiesOnly yes
  UserKnownHostsFile $CLIENT/known_hosts
  StrictHostKeyChecking yes
  LogLevel ERROR
  SendEnv DASK_HPC_TEST_* PYTEST_CURRENT_TEST
C
}
client() {
  local key number entry
  key=$(cut -d' ' -f1,2 "$ETC/host_key.pub")
  for number in 2201 2202 2203 2204; do echo "[127.0.0.1]:$((number + OFFSET)) $key"; done >"$CLIENT/known_hosts"
  echo "10.79.0.2,login,10.76.0.*,10.74.0.1,[10.74.0.1]:2222,node*,10.77.0.* $key" >>"$CLIENT/known_hosts"
  {
  options ""
  cat <<C
Host inner
  HostName 10.79.0.2
  ProxyJump gate
Host node*
  ProxyJump netlogin
C
  for entry in login:2201 login-2fa:2202 gate:2203 netlogin:2204; do
    printf 'Host %s\n  HostName 127.0.0.1\n  Port %s\n' "${entry%:*}" $((${entry#*:} + OFFSET))
  done
  } >"$CLIENT/config"
  sed "s|IdentityFile .*|IdentityFile $CLIENT/id_ed25519.$BED_USER|" "$CLIENT/config" >"$CLIENT/config.$BED_USER"
  { printf 'Host %s\n' "jump
  HostName 10.76.0.2" "cluster*
  HostName 10.74.0.1
  ProxyJump jump" "cluster
  Port 2222"
  options "$BED_USER"; } >"$CLIENT/config.laptop"
  chmod 644 "$CLIENT"/config* "$CLIENT/known_hosts"
}
configure() {
  mkdir -p "$RUN" "$LOG" "$CLIENT" "$ETC" /run/sshd
  chmod 755 "$STATE" "$CLIENT" "$ETC" /run/sshd
  OFFSET=$(free_offset 2201 2202 2203 2204) || die "no free ports"
  echo "OFFSET=$OFFSET" >"$STATE/params"
  keys; servers; second_factor; client
}

# daemons -----------------------------------------------------------------------------------------

inetd() { # NAME NAMESPACE ADDRESS PORT COMMAND...
  local name=$1; shift
  pid_alive "$RUN/$name.pid" && return 0
  : >"$LOG/$name.log"
  spawn "$RUN/$name.pid" "$LOG/$name.log" python3 "$HERE/inetd.py" "$@"
  wait_for 5 grep -q listening "$LOG/$name.log" || die "$name does not listen, see $LOG/$name.log"
}
start_gate() {
  ip netns list | grep -qw "$GATE" || ip netns add "$GATE" 2>/dev/null || { log "no network namespaces: no gate, no inner"; return 0; }
  ip -n "$GATE" link set lo up
  ip -n "$GATE" addr replace 10.79.0.2/32 dev lo
  inetd gate - 127.0.0.1 $((2203 + OFFSET)) ip netns exec "$GATE" /usr/sbin/sshd -i -f "$ETC/gate"
  inetd inner "/run/netns/$GATE" 10.79.0.2 22 /usr/sbin/sshd -i -f "$ETC/inner"
}
start_on() { # HOST NAME ADDRESS/PORT SSHD... : unless the host is down
  local host=$1 name=$2 address=$3; shift 3
  pid_alive "$RUN/$name.pid" && return 0
  host_enter "$host" 2>/dev/null || return 0
  spawn "$RUN/$name.pid" "$LOG/$name.log" "${ENTER[@]}" "$@" -D -e
  wait_for 5 "${ENTER[@]}" bash -c "exec 3<>/dev/tcp/$address" || die "$name does not listen, see $LOG"
}
start_separate_hosts() { # sshd on the hosts of slurm.sh --net, as many as are up
  local name rules
  for name in $(host_names); do
    case $name in laptop|desk) continue;; jump) rules=gate;; *) rules=net;; esac
    start_on "$name" "net-$name" 127.0.0.1/22 /usr/sbin/sshd -f "$ETC/$rules" -p 22
  done
  start_on login net-2fa 10.74.0.1/2222 "$ETC/$PAM" -f "$ETC/net-2fa"
  host_enter login 2>/dev/null || return 0
  pid_stop "$RUN/netlogin.pid" # it may lead to a host that was switched off since
  inetd netlogin - 127.0.0.1 $((2204 + OFFSET)) "${ENTER[@]}" /usr/sbin/sshd -i -f "$ETC/net"
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

start() {
  local started
  install
  started=$(now)
  if pid_alive "$RUN/login.pid"; then
    . "$STATE/params"; start_separate_hosts; log "already running"; return
  fi
  configure
  spawn "$RUN/login.pid" "$LOG/login.log" /usr/sbin/sshd -D -e -f "$ETC/login"
  spawn "$RUN/2fa.pid" "$LOG/2fa.log" "$ETC/$PAM" -D -e -f "$ETC/2fa"
  start_gate
  start_separate_hosts
  local port
  for port in 2201 2202; do wait_for 5 listens $((port + OFFSET)) || die "nothing listens on port $((port + OFFSET)), see $LOG"; done
  log "up in $(since "$started") s; ssh -F $CLIENT/config login|login-2fa|gate|inner"
}
stop() {
  local file pid below
  for file in "$RUN"/*.pid; do
    [ -e "$file" ] || continue
    if pid=$(pid_of "$file"); then
      # Sessions first forget their parent, then would stay.
      below=$(descendants "$pid")
      pid_stop "$file"
      [ -z "$below" ] || kill -TERM $below 2>/dev/null
    fi
    rm -f "$file"
  done
  ip netns del "$GATE" 2>/dev/null
  rm -f "/etc/pam.d/$PAM"
  log "stopped"
}
status() {
  local file
  pid_alive "$RUN/login.pid" || { echo "sshd: stopped"; exit 3; }
  for file in "$RUN"/*.pid; do echo "$(basename "$file" .pid): $(pid_of "$file" || echo dead)"; done
}

case $VERB in
  install) install;;
  start) start;;
  stop) stop;;
  status) status;;
  *) usage;;
esac
