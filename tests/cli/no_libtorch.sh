#!/usr/bin/env bash
# LibTorch never reaches the planner: not the link closure of `strata`, not one of its sources' includes.
#   no_libtorch.sh BUILD_FOLDER
set -euo pipefail
build=$1
linked=$(ldd "$build/bin/strata")
echo "$linked"
grep -q 'libpagmo' <<<"$linked" || { echo "ldd shows no libpagmo: this check sees nothing"; exit 1; }
if grep -E 'libtorch|libc10|libcaffe' <<<"$linked"; then echo "strata links LibTorch"; exit 1; fi

modules='strata_(core|data|optimizers|metric_names|metrics|report|command_line)\.dir|/strata\.dir'
deps=$(ninja -C "$build" -t deps | awk -v modules="$modules" '/^[^ ].*: #deps/ {keep = ($0 ~ modules)} keep')
grep -q 'planning_problem.h' <<<"$deps" || { echo "no dependencies recorded: this check sees nothing"; exit 1; }
if grep -E '/(torch|ATen|c10)/' <<<"$deps"; then echo "a torch-free source includes LibTorch"; exit 1; fi
echo "no LibTorch in $(grep -c '#deps' <<<"$deps") sources or in the link closure"
