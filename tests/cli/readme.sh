#!/usr/bin/env bash
# README's examples are what the program does: every "$ cat FILE" is a file with the lines that follow it, every
# "$ strata ..." prints those that follow it (seconds are not compared).
#   readme.sh STRATA README
set -euo pipefail
strata=$(realpath "$1")
readme=$(realpath "$2")
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"

mkdir bin
ln -s "$strata" bin/strata
PATH=$scratch/bin:$PATH
without_seconds() { sed -E 's/^seconds .*/seconds/; s/ +$//' "$1"; }

compared=0
command= expected=
finish() {
  [ -n "$command" ] || return 0
  case $command in
    "cat "*) printf '%s' "$expected" >"${command#cat }" ;;
    "strata "*)
      printf '%s' "$expected" >expected
      bash -c "$command" >printed || { echo "README: $command failed"; exit 1; }
      diff -u --label README --label "$command" <(without_seconds expected) <(without_seconds printed) || exit 1
      compared=$((compared + 1))
      ;;
    *) echo "README: this test does not know \"$command\""; exit 1 ;;
  esac
  command= expected=
}
while IFS= read -r line || [ -n "$line" ]; do
  case $line in
    '    $ '*) finish; command=${line#'    $ '} ;;
    '    '*) [ -z "$command" ] || expected+=${line#'    '}$'\n' ;;
    '') [ -z "$command" ] || expected+=$'\n' ;;
    *)
      # The blank line before the text is not the example's.
      expected=${expected%$'\n'}
      finish
      ;;
  esac
done <"$readme"
finish
[ "$compared" -gt 0 ] || { echo "README has no example: this check sees nothing"; exit 1; }
echo "$compared example(s) of README compared"
