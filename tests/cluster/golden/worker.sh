dask_hpc_job=${BATCH_JOB}
dask_hpc_index=${BATCH_INDEX:-0}
dask_hpc_slot=climate-2-abcd2345.$dask_hpc_index
dask_hpc_begin=$(date +%s)
dask_hpc_end_time=${BATCH_END:-}
case $dask_hpc_end_time in *[!0-9]*) dask_hpc_end_time= ;; esac
: "${dask_hpc_end_time:=$((dask_hpc_begin + 3600))}"
dask_hpc_child=
dask_hpc_record() (
  umask 077
  dask_hpc_file='/home/o'"'"'neill/state $HOME/clusters/climate-2/jobs'/$dask_hpc_slot.$1
  printf '{"slot": "%s", "job": "%s", "host": "%s", "time": %s, "end_time": %s, "code": %s}\n' \
    "$dask_hpc_slot" "$dask_hpc_job" "$(uname -n)" "$(date +%s)" "${dask_hpc_end_time:-null}" \
    "$2" 2>/dev/null >"$dask_hpc_file.$$" && mv -f "$dask_hpc_file.$$" "$dask_hpc_file" 2>/dev/null
)
dask_hpc_leave() {
  dask_hpc_code=$?
  trap - EXIT
  dask_hpc_record end "$dask_hpc_code" || :
  case $dask_hpc_code in 99|100) exit 98 ;; *) exit "$dask_hpc_code" ;; esac
}
dask_hpc_pass() {
  [ -n "$dask_hpc_child" ] || exit 143
  kill -s "$1" "$dask_hpc_child" 2>/dev/null || :
}
trap dask_hpc_leave EXIT
# Some send one of them to say that the time is up: to all processes of the job, this one too.
trap 'dask_hpc_pass TERM' TERM INT USR2
trap 'dask_hpc_pass USR1' USR1
# What was submitted once and is there twice has two jobs in each place: the later one leaves.
dask_hpc_first='/home/o'"'"'neill/state $HOME/clusters/climate-2/jobs'/$dask_hpc_slot.start
if [ -s "$dask_hpc_first" ] && ! grep -qF "\"job\": \"$dask_hpc_job\"," "$dask_hpc_first"; then
  echo "dask-hpc: another job has the place of job $dask_hpc_job: it leaves" >&2
  trap - EXIT
  exit 0
fi
# The batch system made the log with the umask of the user, whose files may be for others to read.
[ ! -f /proc/self/fd/1 ] || chmod go= /proc/self/fd/1 2>/dev/null || :
dask_hpc_record start null || :

module purge
export FLAVOUR="mild"  # the user's own
export PYTHONPATH='/home/o'"'"'neill/state $HOME/clusters/climate-2/lib'${PYTHONPATH:+:$PYTHONPATH}
[ -n "${PYTHONHASHSEED:-}" ] || PYTHONHASHSEED=6640; export PYTHONHASHSEED
[ -n "${MALLOC_TRIM_THRESHOLD_:-}" ] || MALLOC_TRIM_THRESHOLD_=65536; export MALLOC_TRIM_THRESHOLD_
[ -n "${OMP_NUM_THREADS:-}" ] || OMP_NUM_THREADS=1; export OMP_NUM_THREADS
[ -n "${MKL_NUM_THREADS:-}" ] || MKL_NUM_THREADS=1; export MKL_NUM_THREADS
[ -n "${OPENBLAS_NUM_THREADS:-}" ] || OPENBLAS_NUM_THREADS=1; export OPENBLAS_NUM_THREADS
'/home/o'"'"'neill/my env/bin/python' \
  -m \
  dask_hpc.boot.workers \
  --pool \
  default \
  --directory \
  '/home/o'"'"'neill/state $HOME/clusters/climate-2' \
  --slot "$dask_hpc_slot" \
  --job "$dask_hpc_job" \
  --end-time "$dask_hpc_end_time" &
dask_hpc_child=$!
while :; do
  wait "$dask_hpc_child" && dask_hpc_code=0 || dask_hpc_code=$?
  kill -0 "$dask_hpc_child" 2>/dev/null || break
done
# If a signal cut the last wait short, the shell still knows how the program ended; else it has
# said so, and answers 127.
if [ "$dask_hpc_code" -gt 128 ]; then
  wait "$dask_hpc_child" 2>/dev/null && dask_hpc_again=0 || dask_hpc_again=$?
  [ "$dask_hpc_again" -eq 127 ] || dask_hpc_code=$dask_hpc_again
fi
exit "$dask_hpc_code"
