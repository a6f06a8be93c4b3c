#!/usr/bin/env bash
#   consumer.sh BUILD_FOLDER CONSUMER_SOURCE CMAKE
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$3" --install "$1" --prefix "$work/prefix" >/dev/null
"$3" -S "$2" -B "$work/build" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" -DCMAKE_BUILD_TYPE=Release >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
"$3" --build "$work/build" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
output=$("$work/build/consumer")
echo "$output"
[ "$output" = "importance 1.7, usage variance 0.222222" ]
version=$("$work/prefix/bin/strata" --version)
grep -q '^strata ' <<<"$version"
# What man and the shells look for.
for file in man/man1/strata.1 man/man1/strata-plan.1 bash-completion/completions/strata \
    zsh/site-functions/_strata fish/vendor_completions.d/strata.fish; do
  grep -q 'choose\|strata-plan\|strata.-plan' "$work/prefix/share/$file" || { echo "$file is not installed"; exit 1; }
done
