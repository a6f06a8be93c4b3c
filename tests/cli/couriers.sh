#!/usr/bin/env bash
# The same run with the real programs in one process, over a mailbox, and on the ranks of an MPI job: the same bytes.
#   couriers.sh STRATA pump|mpi|hosts
# `hosts` are network namespaces, which only root makes; without what it takes a check is skipped (4).
set -euo pipefail
strata=$(realpath "$1")
courier=$2
skip() { echo "skipped: $1" >&2; exit 4; }
case $courier in
  mpi | hosts)
    command -v mpirun >/dev/null || skip "there is no mpirun (openmpi-bin)"
    mpirun --version | grep -q 'Open MPI' || skip "the checks are written for Open MPI's mpirun"
    ;;
esac
if [ "$courier" = hosts ]; then
  command -v ip >/dev/null || skip "there is no ip (iproute2)"
  name=strata$$
  ip netns add "$name-1" 2>/dev/null || skip "no network namespace can be made here"
fi

scratch=$(mktemp -d)
cleanup() {
  jobs -p | xargs -r kill -KILL 2>/dev/null || true
  if [ "$courier" = hosts ]; then
    for host in 1 2; do ip netns delete "$name-$host" 2>/dev/null || true; done
  fi
  rm -rf "$scratch"
}
trap cleanup EXIT
cd "$scratch"
export OMP_NUM_THREADS=1

fail() { echo "$1" >&2; exit 1; }

cat >tiny.yaml <<'END'
version: 1
name: tiny
data: {folder: data, partition: iid, clients: 3}
model:
  folder: foundation
  architecture: {hidden_size: 16, layers: 3, heads: 2, image_size: 32, patch_size: 8, max_text: 16}
pretrain: {data: data/shapes, vocabulary: [data], epochs: 1, batch_size: 16, learning_rate: 1.0e-3}
units: {selectable: blocks, always: [head]}
run:
  strategies: [f3ocus]
  rounds: 2
  budget: 1
  score: {samples: 2}
  local: {steps: 2, batch_size: 4, learning_rate: 1.0e-3}
END
"$strata" data make phantoms --images 6 --shapes 60 --size 32 --out data --quiet
"$strata" pretrain tiny.yaml --out foundation --threads 1 --quiet
run() { "$strata" run tiny.yaml --threads 1 --quiet "$@"; }

# Seconds and memory, the last two columns of metrics.csv, are measured.
same_runs() {
  diff -r --exclude run.json --exclude run.log --exclude metrics.csv "$1" "$2" || fail "$2 is not as $1"
  diff <(sed -E 's/(,[^,]*){2}$//' "$1/metrics.csv") <(sed -E 's/(,[^,]*){2}$//' "$2/metrics.csv") ||
    fail "$2/metrics.csv is not as $1/metrics.csv"
}

# Until job $2 has a whole round in $1.
wait_for_round() {
  local _
  for _ in $(seq 600); do
    [ ! -e "$1/state/round-001.safetensors" ] && [ ! -e "$1/state/round-002.safetensors" ] || return 0
    kill -0 "$2" 2>/dev/null || return 0
    sleep 0.1
  done
}
# The process of rank $2 whose run is in $1.
rank_of() {
  local process
  for process in /proc/[0-9]*; do
    if cat "$process/environ" 2>/dev/null | tr '\0' '\n' | grep -qx "OMPI_COMM_WORLD_RANK=$2" &&
      [ "$(cat "$process/cmdline" 2>/dev/null | tr '\0' ' ' | grep -c -- "--out $1")" = 1 ]; then
      echo "${process#/proc/}"
    fi
  done
}
# How often a process has given its core away to wait: one that asks again and again without a pause never does.
waits_of() { awk '/^voluntary_ctxt_switches/ {print $2}' "/proc/$1/status" 2>/dev/null || true; }
# Whether process $2 waits a hundred times more as long as job $1 is there.
sleeps_while() {
  local first now _
  first=$(waits_of "$2")
  for _ in $(seq 600); do
    now=$(waits_of "$2")
    [ -z "$now" ] || [ "$now" -lt $((first + 100)) ] || return 0
    kill -0 "$1" 2>/dev/null || return 1
    sleep 0.1
  done
  return 1
}
# ends_within SECONDS JOB OUT: whether the job of the ranks that run OUT ends. Open MPI 4.1's mpirun can lock itself up in
# PMIx_server_finalize once all its ranks are gone, which no rank can help: it is killed then.
ends_within() {
  local idle=0 _
  for _ in $(seq "$1"); do
    kill -0 "$2" 2>/dev/null || return 0
    if [ -n "$(rank_of "$3" '[0-9]*')" ]; then idle=0; else idle=$((idle + 1)); fi
    if [ "$idle" = 15 ]; then
      echo "mpirun hangs although its ranks have ended; it is killed" >&2
      kill -KILL "$2"
      return 0
    fi
    sleep 1
  done
  return 1
}
# fails_after_signal SIGNAL SECONDS OUT OPTION...: once a run of six rounds on three ranks has a whole one, its rank 2 gets the
# signal; the job then ends with an error, within far more seconds than it takes. What it says is in err.txt.
fails_after_signal() {
  local signal=$1 seconds=$2 out=$3 job victim idle code=0
  "${ranks[@]}" "$strata" run tiny.yaml --threads 1 --out "$out" --set run.rounds=6 "${@:4}" 2>err.txt &
  job=$!
  wait_for_round "$out" "$job"
  victim=$(rank_of "$out" 2)
  [ -n "$victim" ] || fail "no rank for SIG$signal was found"
  kill "-$signal" "$victim"
  if [ "$signal" = STOP ]; then
    # The others have nothing to do until the deadline: they wait without computing.
    for idle in 0 1; do
      sleeps_while "$job" "$(rank_of "$out" "$idle")" || fail "rank $idle computes as it waits"
    done
  fi
  ends_within "$seconds" "$job" "$out" || fail "the job does not end after SIG$signal: $(cat err.txt)"
  wait "$job" || code=$?
  [ "$code" != 0 ] || fail "the job ended well although a rank got SIG$signal"
}

run --out here

# drive COMMAND...: runs `strata run` over a mailbox; COMMAND ORDER REPLY answers each order.
drive() {
  local line order
  coproc SERVER { run --courier pump:mail --out "$out" "${further[@]}" 2>server.log; }
  local from=${SERVER[0]} to=${SERVER[1]} pid=$SERVER_PID
  while IFS= read -r line <&"$from"; do
    case $line in *'"runs"'*) break ;; esac
    while IFS= read -r order; do
      "$@" "$order" "${order%.order}.reply" || true
    done < <(grep -o '"order":"[^"]*"' <<<"$line" | cut -d'"' -f4)
    echo '{"missing": []}' >&"$to"
  done
  wait "$pid"
}

case $courier in
  pump)
    work() { "$strata" work "$1" --data data --model foundation --out "$2" --quiet; }
    out=pumped further=()
    drive work || fail "the run over a mailbox failed: $(cat server.log)"
    same_runs here pumped
    [ -z "$(ls -A mail)" ] || fail "the mailbox is not empty"

    # A site that does not train: the round goes on without it, and says why.
    cat >site.yaml <<'END'
version: 1
data: data
model: foundation
phases: [hello, score, evaluate]
private_scores: {epsilon: 5, releases: 2, ledger: ledger.txt}
END
    calls=0
    some_work() {
      calls=$((calls + 1))
      if [ $((calls % 3)) = 1 ]; then
        "$strata" work "$1" --site site.yaml --out "$2" --quiet 2>/dev/null
      else
        work "$@"
      fi
    }
    out=partly further=()
    drive some_work || fail "the run with a site that does not train failed: $(cat server.log)"
    grep -q "phases: the site does not allow it: an order is to train" partly/run.log ||
      fail "the log does not say what the site refused"
    [ "$(wc -l <ledger.txt)" = 2 ] || fail "the ledger has not one line a release"

    # A site that is too late to train: its round goes on without it, its late reply is nobody's, and it comes back.
    late=
    late_work() {
      case $1 in
        */exchange-000003/00001.order) work "$1" late.reply && late=$2 ;;
        */exchange-000003/*) work "$@" ;;
        *)
          if [ -n "$late" ]; then
            mkdir -p "$(dirname "$late")"
            mv late.reply "$late"
            late=
          fi
          work "$@"
          ;;
      esac
    }
    out=waited further=(--set run.server.deadline=60)
    drive late_work || fail "the run with a site that is too late failed: $(cat server.log)"
    [ -z "$late" ] && [ -z "$(ls -A mail)" ] || fail "the late reply was not brought, or is still there"
    # Who is in a list of a round's aggregation.json, a name a line.
    listed() { sed -n "/^ \"$2\": \[$/,/\]/p" "waited/rounds/00$1/aggregation.json" | grep -o '"[^"]*",\?$' | tr -d '",'; }
    [ "$(listed 1 dropped | wc -l)" = 1 ] && [ "$(listed 1 clients | wc -l)" = 2 ] ||
      fail "the late site was not dropped: $(cat waited/rounds/001/aggregation.json)"
    [ "$(listed 2 clients | wc -l)" = 3 ] && listed 2 clients | grep -qx "$(listed 1 dropped)" ||
      fail "the late site did not come back: $(cat waited/rounds/002/aggregation.json)"

    # Wrong input.
    refuse() {
      local expected=$1 code=0
      shift
      "$strata" work "$@" >out.txt 2>err.txt || code=$?
      [ "$code" = 2 ] || fail "strata work $* ended with $code, not 2"
      grep -qF -- "$expected" err.txt || fail "strata work $* said: $(cat err.txt)"
      [ "$(wc -l <err.txt)" = 1 ] || fail "strata work $* took more than a line"
      [ ! -e no.reply ] || fail "strata work $* left a file"
    }
    echo "no order" >text.order
    refuse text.order text.order --data data --model foundation --out no.reply
    refuse missing.order missing.order --data data --model foundation --out no.reply
    echo "version: 1" >bare.yaml
    refuse "data: the key is missing" text.order --site bare.yaml --out no.reply
    code=0
    run --out none --courier pmup:mail 2>err.txt || code=$?
    [ "$code" = 2 ] && grep -q "pump:FOLDER" err.txt || fail "an unknown courier: $(cat err.txt)"
    [ ! -e none ] || fail "an unknown courier left a folder"
    ;;
  mpi)
    # Root is what a container has; a test machine has fewer cores than ranks.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    ranks=(mpirun --oversubscribe --bind-to none -np 3)
    "${ranks[@]}" "$strata" run tiny.yaml --threads 1 --quiet --out ranks || fail "the run on three ranks failed"
    same_runs here ranks

    code=0
    "${ranks[@]}" "$strata" run tiny.yaml --threads 1 --quiet --out ranks 2>err.txt || code=$?
    [ "$code" != 0 ] && grep -q -- "--resume" err.txt || fail "a folder that is there: $(cat err.txt)"
    code=0
    OMPI_COMM_WORLD_SIZE=1 "$strata" run tiny.yaml --threads 1 --courier mpi --out alone 2>err.txt || code=$?
    [ "$code" = 2 ] && grep -q "single process" err.txt || fail "one rank: $(cat err.txt)"

    # A rank is killed in the middle: the job ends, and another goes on from the last whole round.
    "$strata" run tiny.yaml --threads 1 --quiet --out long --set run.rounds=6
    fails_after_signal KILL 60 killed --quiet
    "${ranks[@]}" "$strata" run tiny.yaml --threads 1 --quiet --out killed --set run.rounds=6 --resume ||
      fail "the job did not resume"
    same_runs long killed

    # A rank stops in the middle and keeps its connections: deadlines pass, the others' run ends, and so does the job.
    fails_after_signal STOP 300 stopped --set run.server.deadline=5
    grep -q "rank 2 still does not answer" err.txt || fail "nobody says which rank hangs: $(cat err.txt)"
    grep -q "no reply to the order" err.txt || fail "no client missed the deadline: $(cat err.txt)"
    [ -e stopped/state/round-006.safetensors ] || fail "the run did not end without the client that hangs"
    ;;
  hosts)
    # Two hosts joined by a cable, without a daemon on either: mpirun starts the far one's ranks by this agent.
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    ip netns add "$name-2"
    ip link add "$name-a" netns "$name-1" type veth peer name "$name-b" netns "$name-2"
    ip -n "$name-1" addr add 10.77.0.1/24 dev "$name-a"
    ip -n "$name-2" addr add 10.77.0.2/24 dev "$name-b"
    for host in 1 2; do ip -n "$name-$host" link set lo up; done
    ip -n "$name-1" link set "$name-a" up
    ip -n "$name-2" link set "$name-b" up
    cat >agent <<END
#!/bin/sh
host=\$1
shift
exec ip netns exec "$name-\${host##*.}" unshare -u sh -c "hostname far; \$*"
END
    chmod +x agent
    seen=$scratch/seen
    cat >ranked <<END
#!/bin/sh
echo "\$OMPI_COMM_WORLD_RANK \$(hostname)" >>"$seen"
exec "$strata" run tiny.yaml --threads 1 --quiet --out hosts
END
    chmod +x ranked
    ip netns exec "$name-1" unshare -u sh -c "hostname near; exec mpirun --mca plm_rsh_agent $scratch/agent \
      --mca oob_tcp_if_include 10.77.0.0/24 --mca btl_tcp_if_include 10.77.0.0/24 --bind-to none \
      --oversubscribe --host 10.77.0.1:1,10.77.0.2:2 -np 3 $scratch/ranked" || fail "the job on two hosts failed"
    [ "$(sort "$seen" | tr '\n' ' ')" = "0 near 1 far 2 far " ] || fail "the ranks were at: $(cat "$seen")"
    same_runs here hosts
    ;;
  *) fail "unknown courier $courier" ;;
esac
echo "the same bytes over $courier"
