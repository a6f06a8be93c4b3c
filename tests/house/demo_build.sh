#!/usr/bin/env bash
# scripts/demo compiles as many sources at once as scripts/test: names that meet in one of its compilations are then
# noticed where tests run, which the demo does not.
#   demo_build.sh SOURCE_DIR
set -euo pipefail
at_once() { grep -o 'CMAKE_UNITY_BUILD_BATCH_SIZE=[0-9]*' "$1"; }
demo=$(at_once "$1/scripts/demo")
test=$(at_once "$1/scripts/test")
[ "$demo" = "$test" ] || { echo "scripts/demo has $demo, scripts/test $test"; exit 1; }
