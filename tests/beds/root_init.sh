# The first process of a machine of root.sh: its mounts, then it changes into the root and waits.
# Its arguments are FILE:PATH, a file that covers one of the root. From the environment: ROOT, KEEP (directories
# with ":" between them), ADDRESS (of its own network).
set -e
mount --bind "$ROOT" "$ROOT" # programs that mount expect a root that is a mount itself
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
# Where an OAR notes the processes of its jobs: this machine may have one, too.
mkdir -p /dev/cpuset
mount -t tmpfs tmpfs "$ROOT/dev/cpuset"
mount -t tmpfs -o mode=755 tmpfs "$ROOT/run"
see() { mkdir -p "$ROOT$1"; mount --rbind "$1" "$ROOT$1"; }
see /tmp
see /home
IFS=: read -ra keep <<<"$KEEP"
for path in "${keep[@]}"; do
  case $path in '' | /tmp/* | /home/* | /usr/*) continue;; esac
  see "$path"
done
for pair in /etc/hosts:/etc/hosts /etc/resolv.conf:/etc/resolv.conf "$@"; do
  file=${pair%%:*} path=$ROOT${pair#*:}
  [ -e "$file" ] || continue
  : >>"$path" # what is not there cannot be covered
  mount --bind "$file" "$path"
done
if [ -n "$ADDRESS" ]; then
  ip link set lo up
  ip link add eth0 type veth peer name plug
  ip addr add "$ADDRESS/24" brd + dev eth0
  ip link set plug up
  ip link set eth0 up
  ip route add default via "${ADDRESS%.*}.254" # which does not exist
fi
# No chroot: in one, users may have no namespaces, which containers are made of.
cd "$ROOT"
pivot_root . mnt
umount --lazy /mnt
exec /bin/bash -c 'touch /run/up; trap : CHLD TERM; while :; do sleep 3600 & wait $!; done'
