# The first process of a host of net.sh: its own /tmp, scratch and commands, then its name, then it waits.
# From the environment: HOST, SCRATCH, KEEP (directories with ":" between them), HIDE, PRIVATE, OWN_TMP.
set -e
mount --bind "$SCRATCH.$HOST" "$SCRATCH"
if [ "$PRIVATE" = 1 ]; then
  IFS=: read -ra keep <<<"$KEEP"
  for path in "${keep[@]}"; do
    case $path in /tmp/*) ;; *) continue;; esac
    mkdir -p "$OWN_TMP/${path#/tmp/}"
    mount --bind "$path" "$OWN_TMP/${path#/tmp/}"
  done
  mount --rbind "$OWN_TMP" /tmp
  mount -t tmpfs -o mode=1777 tmpfs /dev/shm
fi
# A layer of white-outs over /usr/bin: what is not there cannot be found, by whatever name it is called.
[ -z "$HIDE" ] || mount -t overlay overlay -o "lowerdir=$HIDE:/usr/bin" /usr/bin
hostname "$HOST" # last: whoever sees the name sees a complete host
trap : CHLD TERM
while :; do sleep 3600 & wait $!; done
