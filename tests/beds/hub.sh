#!/bin/bash
# The proxy that stands before a real JupyterHub, from Debian's node-configurable-http-proxy.
#   hub.sh install | start | stop | status
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
case "${1:-}" in
install | start)
  command -v configurable-http-proxy >/dev/null && exit 0
  need_root
  make_state
  apt_install node-configurable-http-proxy ;;
stop) ;;
status) command -v configurable-http-proxy || exit 3 ;;
*) sed -n '2,3p' "$0"; exit 2 ;;
esac
