#!/bin/bash
# A real chunked data set for the examples: the world's coastlines, from Debian's gmt-gshhg-low.
#   data.sh install | start | stop | status
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
FILE=/usr/share/gmt-gshhg/binned_GSHHS_i.nc
case "${1:-}" in
install | start)
  [ -r "$FILE" ] && exit 0
  need_root
  make_state
  apt_install gmt-gshhg-low ;;
stop) ;;
status) [ -r "$FILE" ] && echo "data: $FILE" || exit 3 ;;
*) sed -n '2,3p' "$0"; exit 2 ;;
esac
