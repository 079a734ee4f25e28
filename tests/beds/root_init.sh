# The first process of a machine of root.sh: its mounts, then it changes into the root and waits.
# Its arguments are FILE:PATH, a file that covers one of the root. From the environment: ROOT, KEEP (directories
# with ":" between them).
set -e
mount --bind "$ROOT" "$ROOT" # programs that mount expect a root that is a mount itself
mount -t proc proc "$ROOT/proc"
mount --rbind /dev "$ROOT/dev"
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
exec chroot "$ROOT" /bin/bash -c 'touch /run/up; trap : CHLD TERM; while :; do sleep 3600 & wait $!; done'
