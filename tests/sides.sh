#!/bin/bash
# Runs all tests as two sessions at once, since most of them wait most of the time: sides.sh PYTHON
# Prints one while it runs, and the other after it; fails if one of them does.
log=$(mktemp) && trap 'rm -f "$log"' EXIT || exit 1
"$1" -m pytest --side=machine >"$log" 2>&1 &
machine=$!
"$1" -m pytest --side=systems
systems=$?
wait $machine
machine=$?
cat "$log"
exit $((machine | systems))
