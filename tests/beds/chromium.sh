#!/bin/bash
# A real browser, from Debian's chromium.
#   chromium.sh install | start | stop | status
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case "${1:-}" in
install | start)
  command -v chromium >/dev/null && exit 0
  need_root
  make_state
  apt_install chromium ;;
stop) ;;
status) command -v chromium || exit 3 ;;
*) sed -n '2,3p' "$0"; exit 2 ;;
esac
