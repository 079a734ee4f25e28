#!/bin/bash
# What OAR 2.6 asks of systemd on a node, where there is none: the processes of a job are a list in a file.
#
#   busctl call ... StartTransientUnit ... PIDs au COUNT PID... Slice s oar-uUSER-jJOB.slice 0
#
# Whatever else it asks for is done already, and no job of systemd's own is on its way.
pids=() slice=
while [ $# -gt 0 ]; do
  case $1 in
    au) pids=("${@:3:$2}"); shift $((2 + $2));;
    Slice) slice=$3; shift 3;;
    *) shift;;
  esac
done
[ -n "$slice" ] || exit 0
printf '%s\n' "${pids[@]}" >>"/oar.slice/${slice%-j*}.slice/$slice/cgroup.procs"
