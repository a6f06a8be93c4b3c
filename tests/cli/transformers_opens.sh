#!/usr/bin/env bash
# What Strata writes is opened by transformers and PEFT, with each Python of a list.
#   transformers_opens.sh STRATA SCRIPT PYTHONS
# PYTHONS are interpreters separated by ';', that of the build; $STRATA_REFERENCE_PYTHON wins. Without any,
# the check is skipped with exit code 4: nothing here may need more than Debian.
set -euo pipefail
strata=$1 script=$2 pythons=${STRATA_REFERENCE_PYTHON:-$3}
if [[ -z $pythons ]]; then
  echo "skipped: STRATA_REFERENCE_PYTHON names no Python with torch, transformers and peft (several with ';')"
  exit 4
fi
IFS=';' read -ra list <<<"$pythons"
for python in "${list[@]}"; do
  echo "== $python"
  "$python" "$script" "$strata"
done
