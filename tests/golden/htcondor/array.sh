exec 2>&1
[ -n "${HOME-}" ] || { unset HOME; HOME=~; }
export HOME USER="${USER:-$(id -un)}" LOGNAME="${LOGNAME:-$(id -un)}"
export PATH="${PATH:-/usr/local/bin:/usr/bin:/bin}"
exec true
