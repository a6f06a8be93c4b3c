# What scripts that compare runs write down of them (scripts/record-equal-bytes). Sourced, not run.

# take_record "$@": `--record FILE`, where that comes first. The caller shifts by $taken.
take_record() {
  recording= taken=0
  if [ "${1:-}" = --record ]; then
    [ -n "${2:-}" ] || { echo "$(basename "$0"): --record needs a file" >&2; exit 2; }
    recording=$(realpath "$2")
    : >"$recording"
    taken=2
  fi
  export recording
}

# record LINE...: into the file that --record names, if any does.
record() {
  [ -z "${recording:-}" ] || printf '%s\n' "$@" >>"$recording"
}

# record_state NAME RUN: a row with the SHA-256 of the run's last state, which has all weights that it trains.
record_state() {
  local state sum
  state=$(find "$2/state" -name 'round-*.safetensors' | sort | tail -n 1)
  [ -n "$state" ] || { echo "$2 has no state" >&2; return 1; }
  sum=$(sha256sum "$state" | cut -d' ' -f1)
  echo "$1: $(basename "$state") $sum"
  record "| $1 | \`$(basename "$state")\` | \`$sum\` |"
}
record_states() {
  record "" "| courier | last state | SHA-256 |" "|---|---|---|"
}
