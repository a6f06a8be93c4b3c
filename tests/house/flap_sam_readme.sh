#!/usr/bin/env bash
# results/flap_sam/README.md says what its modes.csv does: the script writes it again from there, byte for byte.
#   flap_sam_readme.sh SOURCE_DIR
set -euo pipefail
source=$1
command -v python3 >/dev/null || { echo "skipped: there is no python3"; exit 4; }
export PYTHONDONTWRITEBYTECODE=1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/scripts" "$work/results"
cp "$source"/scripts/{reproduce-flap-sam,reproduction.py,flap_sam_order.py} "$work/scripts"
cp -r "$source/results/flap_sam" "$work/results"
(cd "$work/scripts" && python3 -m doctest flap_sam_order.py)
"$work/scripts/reproduce-flap-sam" --readme
diff "$source/results/flap_sam/README.md" "$work/results/flap_sam/README.md"
# Other numbers give another page.
sed -i 's/^sam,decoder,1,1,\([^,]*,[^,]*,[^,]*\),[^,]*/sam,decoder,1,1,\1,0.1/' "$work/results/flap_sam/modes.csv"
"$work/scripts/reproduce-flap-sam" --readme
! diff -q "$source/results/flap_sam/README.md" "$work/results/flap_sam/README.md" >/dev/null
