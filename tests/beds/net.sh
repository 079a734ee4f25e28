# "Hosts" made of namespaces: net, uts, pid and mount of their own (source me after lib.sh).
#
#   a switch: a namespace with four bridges and no addresses
#     wan  10.76.0.0/24   laptop .100, desk .101, jump .2, login .1
#     dmz  10.74.0.0/24   jump .2, login .1
#     eth  10.77.0.0/24   login .1, node1 .11, node2 .12 ..   "eth0", shaped to BED_ETH_RATE (1gbit)
#     ib   10.78.0.0/24   node1 .11, node2 .12 ..             "ib0", unshaped; login has one with BED_LOGIN_IB=1
#   Every node has virbr0 with 192.168.122.1, the same useless address everywhere, as many clusters have it.
#   Laptop and desk, where users sit, reach jump and login only, which do not route. The root namespace has
#   no address here and reaches none of these networks.
#   Nodes and login have a default route through eth0, to a gateway that does not exist (BED_DEFAULT_ROUTE=0: none).
#
# Files: one root file system that all hosts share, except
#   /tmp, /dev/shm   each host has its own (BED_PRIVATE_TMP=0: shared); the checkout, the state directory and
#                    the directories of BED_KEEP (with ":" between them) stay visible, also below /tmp
#   $BEDS/net/local  node-local scratch, where even /tmp is shared
#   /usr/bin         nodes do not have the commands of slurm-client (BED_NODE_COMMANDS=1: they have)
NET=$BEDS/net
HOSTS_MAX=32

host_pid_file() { echo "$NET/host.$1.pid"; }
host_names() { # of every host that was started
  local file name
  for file in "$NET"/host.*.pid; do
    [ -e "$file" ] || continue
    name=${file##*/host.}; echo "${name%.pid}"
  done
}
host_init() { # NAME : pid, seen from here, of the first process of the host
  local pid
  pid=$(pid_of "$(host_pid_file "$1")") || return 1
  set -- $(cat "/proc/$pid/task/$pid/children" 2>/dev/null)
  [ -n "${1:-}" ] && echo "$1"
}
host_enter() { # NAME : the words that enter the host, set in ENTER
  local pid
  pid=$(host_init "$1") || { log "host $1 is down"; ENTER=(false); return 1; }
  ENTER=(nsenter -t "$pid" -m -u -n -p --)
}

host_addresses() { # NAME : INTERFACE BRIDGE ADDRESS, a line each
  local number=${1#node}
  case $1 in
    laptop) echo eth0 wan 10.76.0.100/24;;
    desk)   echo eth0 wan 10.76.0.101/24;;
    jump)   echo wan0 wan 10.76.0.2/24; echo dmz0 dmz 10.74.0.2/24;;
    login)  echo wan0 wan 10.76.0.1/24; echo dmz0 dmz 10.74.0.1/24; echo eth0 eth 10.77.0.1/24
            [ "${BED_LOGIN_IB:-0}" = 1 ] && echo ib0 ib 10.78.0.1/24;;
    node*)  echo eth0 eth 10.77.0.$((10 + number))/24; echo ib0 ib 10.78.0.$((10 + number))/24;;
  esac
}
hosts_file() { # NAME
  local number
  echo '127.0.0.1 localhost'
  case $1 in laptop|desk|jump) printf '10.76.0.100 laptop\n10.76.0.101 desk\n10.76.0.2 jump\n10.76.0.1 login\n'; return;; esac
  echo '10.77.0.1 login'
  for number in $(seq 1 $HOSTS_MAX); do
    printf '10.77.0.%s node%s\n10.78.0.%s node%s-ib\n' $((10 + number)) "$number" $((10 + number)) "$number"
  done
}
plug() { # HOST INTERFACE BRIDGE ADDRESS
  local space=$NS-$1 interface=$2 bridge=$3 address=$4
  local port=p-$1-${interface:0:1}
  ip -n "$space" link show "$interface" >/dev/null 2>&1 && return 0
  ip -n "$NS-switch" link del "$port" 2>/dev/null
  ip -n "$space" link add "$interface" type veth peer name "$port" netns "$NS-switch"
  ip -n "$space" addr add "$address" brd + dev "$interface"
  ip -n "$space" link set "$interface" up
  ip -n "$NS-switch" link set "$port" master "$bridge" up
  [ "$bridge" = eth ] || return 0
  local shape=(root tbf rate "${BED_ETH_RATE:-1gbit}" burst 256kb latency 50ms)
  tc -n "$space" qdisc add dev "$interface" "${shape[@]}" 2>/dev/null
  tc -n "$NS-switch" qdisc add dev "$port" "${shape[@]}" 2>/dev/null
  return 0
}
wire() { # HOST : its namespace with all its interfaces and the files of /etc that are its own
  local host=$1 space=$NS-$1 files=/etc/netns/$NS-$1 interface bridge address
  ip netns list | grep -qw "$space" || ip netns add "$space"
  ip -n "$space" link set lo up
  while read -r interface bridge address; do plug "$host" "$interface" "$bridge" "$address"; done < <(host_addresses "$host")
  case $host in node*)
    ip -n "$space" link add virbr0 type bridge 2>/dev/null && ip -n "$space" addr add 192.168.122.1/24 dev virbr0
    ip -n "$space" link set virbr0 up;;
  esac
  case ${BED_DEFAULT_ROUTE:-1}$host in 1login|1node*) ip -n "$space" route replace default via 10.77.0.254 dev eth0;; esac
  mkdir -p "$files"
  [ -e /etc/hosts ] || echo '127.0.0.1 localhost' >/etc/hosts # what is not there cannot be covered
  hosts_file "$host" >"$files/hosts"
  echo '# no DNS here' >"$files/resolv.conf"
  echo "$host" >"$files/hostname"
}

hide_commands() { # makes the layer that takes the commands of slurm-client out of /usr/bin
  local command
  rm -rf "$NET/hidden"; mkdir -p "$NET/hidden"
  for command in $(dpkg -L slurm-client | sed -n 's|^/usr/bin/||p') scrontab; do mknod "$NET/hidden/$command" c 0 0; done
}

host_up() { # NAME : namespaces, interfaces, first process
  local host=$1 keep hide=""
  pid_alive "$(host_pid_file "$host")" && return 0
  wire "$host"
  mkdir -p "$NET"/{log,local,tmp."$host",local."$host"}
  chmod 1777 "$NET"/{local,tmp."$host",local."$host"}
  keep=$BEDS:$(cd "$HERE/../.." && pwd):${BED_KEEP:-}
  case $host in node*) [ "${BED_NODE_COMMANDS:-0}" = 1 ] || hide=$NET/hidden;; esac
  spawn "$(host_pid_file "$host")" "$NET/log/$host.log" \
    env HOST="$host" SCRATCH="$NET/local" KEEP="$keep" HIDE="$hide" PRIVATE="${BED_PRIVATE_TMP:-1}" OWN_TMP="$NET/tmp.$host" \
    ip netns exec "$NS-$host" unshare --uts --pid --fork --kill-child=KILL --mount-proc bash "$HERE/host_init.sh"
  wait_for 5 host_ready "$host" || { tail -5 "$NET/log/$host.log" >&2; die "host $host did not start"; }
}
host_ready() { local pid; pid=$(host_init "$1") && [ "$(nsenter -t "$pid" -u hostname)" = "$1" ]; }
host_down() { pid_stop "$(host_pid_file "$1")" KILL; } # power off: its whole PID namespace dies; the cables stay

net_up() { # NODES
  local bridge number host
  unshare --net --mount --pid --fork true 2>/dev/null || impossible "no namespaces for separate hosts"
  mkdir -p "$NET"
  if ! ip netns list | grep -qw "$NS-switch"; then
    ip netns add "$NS-switch" || impossible "no network namespaces"
    for bridge in wan dmz eth ib; do ip -n "$NS-switch" link add $bridge type bridge; ip -n "$NS-switch" link set $bridge up; done
    # Frames that cross a bridge need not pass the firewall of a host.
    ip netns exec "$NS-switch" sh -c 'for file in /proc/sys/net/bridge/bridge-nf-call-*; do echo 0 >$file; done' 2>/dev/null
  fi
  # What the hosts mounted into their /tmp is not seen from here.
  rm -rf --one-file-system "$NET"/tmp.* "$NET"/local.*
  [ "${BED_NODE_COMMANDS:-0}" = 1 ] || hide_commands
  for host in laptop desk jump login; do host_up $host; done
  for number in $(seq 1 "$1"); do host_up "node$number"; done
}
net_down() {
  local host space
  for host in $(host_names); do host_down "$host"; done
  for space in $(ip netns list | awk -v prefix="^$NS-" '$1 ~ prefix && $1 !~ /-gate$/ { print $1 }'); do
    ip netns del "$space"; rm -rf "/etc/netns/$space"
  done
  rmdir /etc/netns 2>/dev/null
  return 0
}

# Runs COMMAND as RUN_AS in RUN_IN, on the host that ARGS names where hosts are SEPARATE.
run_command() {
  local host=${ARGS[0]:-login}
  [ ${#COMMAND[@]} -gt 0 ] || usage
  ENTER=(); [ "$SEPARATE" = 0 ] || host_enter "$host" || exit 1
  as_user "$RUN_AS" "$RUN_IN"
  [ "$SEPARATE" = 0 ] || AS_USER+=(HOSTNAME="$host")
  # nsenter stays outside as the parent; when somebody ends it, the command must not live on.
  exec "${ENTER[@]}" setpriv --pdeathsig KILL "${AS_USER[@]}" "${COMMAND[@]}"
}
