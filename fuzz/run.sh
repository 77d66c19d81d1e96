#!/usr/bin/env bash
# Fuzzes all targets in turn: `fuzz/run.sh MINUTES` for that long altogether (default 30), with two
# jobs. Prints executions, coverage and findings of each; exits 1 if there is a finding, whose input
# then lies in fuzz/artifacts. Starts from the kept inputs and leaves them as they are; what is new
# goes to fuzz/target/corpus.
#
#   fuzz/run.sh 10             ten minutes
#   fuzz/run.sh 10 region      ten minutes of one target
#   fuzz/run.sh --minimise     afterwards: the fewest inputs with the same coverage become the kept
#
# Needs the nightly compiler, a C++ compiler, and cargo-fuzz (`cargo install cargo-fuzz --locked`).
set -euo pipefail
cd "$(dirname "$0")"

JOBS=2
FILES_MAX=300
LEN_MAX=400
# Regions and histories want their time; texts are soon exhausted.
WEIGHTS="region:30 in_use:20 operations:15 journal:20 stream:20 stream_region:25 ring:10 receipt:5"

# No recording of stacks of allocations: it would be most of the work. Memory is still checked.
export ASAN_OPTIONS=malloc_context_size=2:detect_leaks=1
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
grown=$target_dir/corpus
triple=$(rustc +nightly -vV | sed -n 's/^host: //p')
programs=$target_dir/$triple/release

build() {
  # Comparisons are not traced: inputs are drawn by structure, and it halves the speed.
  cargo +nightly fuzz build --no-trace-compares --target-dir "$target_dir"
}

targets() {
  cargo +nightly fuzz list
}

weight_of() {
  local pair
  for pair in $WEIGHTS; do
    [ "${pair%%:*}" != "$1" ] || { echo "${pair##*:}"; return; }
  done
  echo 10 # a target that the table does not know
}

# The fewest inputs with the same edges, without any more than may be kept.
minimise() {
  local target
  for target in $(targets); do
    local fresh=$grown/$target.fewest
    rm -rf "$fresh" && mkdir -p "$fresh" "$grown/$target" "corpus/$target"
    "$programs/$target" -merge=1 -use_counters=0 -max_len="$LEN_MAX" -timeout=10 \
      "$fresh" "corpus/$target" "$grown/$target" >"$grown/$target.merge.log" 2>&1
    # The shortest ones, should there be too many.
    find "$fresh" -type f -printf '%s %f\n' | sort -n | tail -n "+$((FILES_MAX + 1))" |
      while read -r _ name; do rm "$fresh/$name"; done
    rm -rf "corpus/$target" && mv "$fresh" "corpus/$target"
    echo "$target: $(find "corpus/$target" -type f | wc -l) inputs," \
      "$(du -cb "corpus/$target"/* | tail -n 1 | cut -f 1) bytes"
  done
}

# One target for some seconds. Each job has its own log.
fuzz() {
  local target=$1 seconds=$2 job status=0
  mkdir -p "$grown/$target" "corpus/$target" "artifacts/$target" "$grown/logs"
  local before
  before=$(find "artifacts/$target" -type f | wc -l)
  local pids=()
  for job in $(seq "$JOBS"); do
    "$programs/$target" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 \
      -max_len="$LEN_MAX" -use_counters=0 -reload=1 -print_final_stats=1 \
      -artifact_prefix="artifacts/$target/" "$grown/$target" "corpus/$target" \
      >"$grown/logs/$target.$job" 2>&1 &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || status=1; done
  local logs=("$grown/logs/$target".*) done rate coverage found
  done=$(awk '/^stat::number_of_executed_units:/ {n += $2} END {print n + 0}' "${logs[@]}")
  rate=$((done / (seconds > 0 ? seconds : 1)))
  coverage=$(grep -oh 'cov: [0-9]*' "${logs[@]}" | cut -d' ' -f2 | sort -n | tail -n 1)
  found=$(($(find "artifacts/$target" -type f | wc -l) - before))
  printf '%-12s %6d s %12d executions %7d/s  coverage %6s  findings %d\n' \
    "$target" "$seconds" "$done" "$rate" "${coverage:-0}" "$found"
  if [ "$status" -ne 0 ] || [ "$found" -ne 0 ]; then
    grep -h -m 3 -A 2 'panicked\|ERROR\|SUMMARY' "${logs[@]}" | cut -c1-300 || true
    return 1
  fi
}

if [ "${1:-}" = --minimise ]; then
  build
  minimise
  exit
fi

minutes=${1:-30}
chosen=${2:-$(targets)}
build
sum=0
for target in $chosen; do sum=$((sum + $(weight_of "$target"))); done
failed=0
for target in $chosen; do
  fuzz "$target" $((minutes * 60 * $(weight_of "$target") / sum)) || failed=1
done
[ "$failed" -eq 0 ] || echo "FINDINGS: see fuzz/artifacts; run one with fuzz/run.sh's programs"
exit "$failed"
