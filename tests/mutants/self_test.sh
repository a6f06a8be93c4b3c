#!/usr/bin/env bash
# scripts/mutants on a tree of its own, whose "programs" are shell scripts that the build only copies.
#   self_test.sh SOURCE_DIR
set -uo pipefail
source_dir=$1
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
cd "$tree" || exit 1
failures=0

expect() {
  local what=$1
  shift
  if ! "$@"; then
    echo "FAILED: $what" >&2
    failures=$((failures + 1))
  fi
}
says() { grep -qF -- "$1" output; }
says_not() { ! grep -qF -- "$1" output; }
# ends STATUS ARGUMENT...: scripts/mutants with these arguments ends so; what it says is in `output`.
ends() {
  local wanted=$1 status
  shift
  scripts/mutants "$@" >output 2>&1
  status=$?
  [ "$status" -eq "$wanted" ] || { echo "ended with $status, not $wanted:" >&2; cat output >&2; return 1; }
}

mkdir -p scripts tests/mutants tests/toy toy
cp "$source_dir/scripts/mutants" scripts/
cat >CMakePresets.json <<'END'
{"version": 6, "configurePresets": [{"name": "toy", "generator": "Ninja", "binaryDir": "${sourceDir}/build/${presetName}"}],
 "buildPresets": [{"name": "toy", "configurePreset": "toy"}]}
END
cat >CMakeLists.txt <<'END'
cmake_minimum_required(VERSION 3.25)
project(toy LANGUAGES NONE)
file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/tests/toy)
file(WRITE ${PROJECT_BINARY_DIR}/tests/toy/CTestTestfile.cmake
  "add_test([=[toy/sum]=] \"${PROJECT_BINARY_DIR}/bin/test_toy_sum\" \"--filenames-as-tags\" \"[#sum]\")\n"
  "add_test([=[toy/slow]=] \"${PROJECT_BINARY_DIR}/bin/test_toy_slow\" \"--filenames-as-tags\" \"[#slow]\")\n")
# A test in Python is no program of its own.
enable_testing()
add_test(NAME toy/said COMMAND grep -q "echo one" ${PROJECT_SOURCE_DIR}/toy/sum.sh)
foreach(name sum slow)
  # A library that holds "broken" does not compile.
  add_custom_command(OUTPUT ${PROJECT_BINARY_DIR}/bin/test_toy_${name}
    DEPENDS ${PROJECT_SOURCE_DIR}/toy/sum.sh ${PROJECT_SOURCE_DIR}/tests/toy/${name}.sh
    COMMAND sh -c "! grep broken ${PROJECT_SOURCE_DIR}/toy/sum.sh"
    COMMAND sh -c "mkdir -p bin && cat ${PROJECT_SOURCE_DIR}/toy/sum.sh ${PROJECT_SOURCE_DIR}/tests/toy/${name}.sh > bin/test_toy_${name} && chmod +x bin/test_toy_${name}"
    VERBATIM)
  add_custom_target(test_toy_${name} DEPENDS ${PROJECT_BINARY_DIR}/bin/test_toy_${name})
endforeach()
END
cat >toy/sum.sh <<'END'
#!/bin/sh
sum() { echo $(($1 + $2)); }
unused() { echo "a & b"; }
first() { echo one; }
second() { echo one; }
pause() { sleep 0; }
END
echo '[ "$(sum 2 3)" = 5 ] && [ "$(second)" = one ]' >tests/toy/sum.sh
echo 'grep -q "sleep 600" "$0" && echo $$ >"${PAUSED:-/dev/null}"; pause' >tests/toy/slow.sh
cat >tests/mutants/toy.list <<'END'
# What the self-test tries.
preset toy

toy/sum.sh: minus for plus
- $1 + $2
+ $1 - $2
fails toy/slow
fails toy/sum

toy/sum.sh: nobody calls it
- unused() { echo "a & b"; }
- first()
+ unused() { echo "c & d"; }
+ first()
fails toy/sum

toy/sum.sh: the second of two equal texts
after second()
- echo one
+ echo two
fails toy/sum

toy/sum.sh: does not end
- sleep 0
+ sleep 600
fails toy/slow
limit 1

toy/sum.sh: the same in other words
- sum() { echo $(($1 + $2)); }
+ sum() { echo $(($2 + $1)); }
equivalent a sum has no order
END
printf '/build/\noutput\n' >.gitignore
git init -q . && git add . && git -c user.name=t -c user.email=t commit -q -m "The tree" || exit 1
cp toy/sum.sh sum.before

expect "--list names mutants, tests and reasons" ends 0 --list
expect "--list: tests" says "toy/sum.sh: minus for plus (toy/slow, toy/sum)"
expect "--list: reason" says "(equivalent: a sum has no order)"
expect "all apply" ends 0 --check

expect "a survivor ends with 1" ends 1
expect "a kill" says "killed    toy/sum.sh: minus for plus (toy/sum,"
expect "a survivor" says "survived  toy/sum.sh: nobody calls it (toy/sum)"
expect "the text behind 'after'" says "killed    toy/sum.sh: the second of two equal texts"
expect "an endless test" says "killed    toy/sum.sh: does not end (toy/slow does not end,"
expect "the count" says "4 mutants: 3 killed, 1 survived; 1 equivalent not run"
expect "the tree is as it was" cmp -s toy/sum.sh sum.before
expect "the copy is restored" cmp -s build/mutants/toy/sum.sh sum.before

expect "a pattern chooses; no survivor ends with 0" ends 0 minus
expect "a pattern's count" says "1 mutants: 1 killed, 0 survived"
expect "the module's program, as CTest calls it" ends 0 --unity minus
expect "--unity's count" says "1 mutants: 1 killed, 0 survived"
expect "of a preset that no list has" ends 2 --only release
expect "of this preset" ends 0 --only toy minus
expect "a sample without its seed" ends 2 --sample 2
expect "a sample's size" ends 0 --sample 1:3 minus second
expect "a sample is drawn" says "1 mutants: 1 killed, 0 survived"
expect "its share and interval" says "killed 100.0 % (95 % interval: 20.7 to 100.0)"
expect "a sample with a survivor" ends 1 --sample 4:1 --record kept.txt
expect "the preset's share" says "toy: 3 of 4 killed, 75.0 % (95 % interval: 30.1 to 95.4)"
expect "the survivor once more" says "  survived toy/sum.sh: nobody calls it (toy/sum)"
expect "the end line's share" says "4 mutants: 3 killed, 1 survived; 1 equivalent not run; killed 75.0 % (95 % interval"
recorded() { grep -qxF -- "$1" kept.txt; }
expect "the record's command" recorded "command: scripts/mutants --sample 4:1 --record kept.txt"
expect "the record's seed" recorded "seed:    1"
expect "the record's counts" recorded "listed:  5, of which 4 were applied"
expect "the record's commit" recorded "commit:  $(git describe --always --dirty --abbrev=12)"
expect "the record's machine" grep -q "^machine: .*, [0-9]* cores$" kept.txt
expect "the record's preset" recorded "toy: 3 of 4 killed, 75.0 % (95 % interval: 30.1 to 95.4)"
expect "the record's survivor" recorded "  survived toy/sum.sh: nobody calls it (toy/sum)"
expect "the record's end" test "$(tail -n 1 kept.txt)" = "$(tail -n 1 output)"
rm kept.txt
expect "a record in a folder that is not there" ends 2 --record nowhere/kept.txt minus
expect "nothing was tried for it" says_not "killed"
expect "a pattern that fits nothing" ends 2 nothing-of-this-name
expect "an unknown option" ends 2 --lists

# Uncommitted changes are in the copy; a change that makes a text appear twice makes its mutants stale, not others.
echo '# $1 + $2, sleep 0' >>toy/sum.sh
expect "a stale mutant ends with 2" ends 2
expect "a stale mutant is named" says "stale     toy/sum.sh: minus for plus: the text to replace is there 2 times, not once: \$1 + \$2 (tests/mutants/toy.list:4)"
expect "others are tried all the same" says "killed    toy/sum.sh: the second of two equal texts"
expect "--check sees it" ends 2 --check minus
cp sum.before toy/sum.sh

touch tests/toy/said.py
printf '\ntoy/sum.sh: said by nobody\nafter unused()\n- first() { echo one; }\n- second() { echo one; }\n+ first() { :; }\n+ second() { :; }\nfails toy/said\n' >>tests/mutants/toy.list
expect "a test in Python" ends 0 "said by nobody"
expect "CTest ran it" says "killed    toy/sum.sh: said by nobody (toy/said,"

printf '\ntoy/sum.sh: no program\n- pause()\n+ broken()\nfails toy/sum\n' >>tests/mutants/toy.list
expect "what does not compile is no kill" ends 2 program
expect "what does not compile is named" says "stale     toy/sum.sh: no program (does not compile, tests/mutants/toy.list:"

sed -i 's#^fails toy/slow$#fails toy/slower#' tests/mutants/toy.list
expect "a test that is not there" ends 2 --check
expect "a test that is not there is named" says "stale     toy/sum.sh: minus for plus: there is no tests/toy/slower.* (tests/mutants/toy.list:4)"
sed -i 's#^fails toy/slower$#fails toy/slow#' tests/mutants/toy.list

echo 'false' >tests/toy/sum.sh
expect "a test that fails without a mutant" ends 2 minus
expect "a test that fails without a mutant is named" says "toy/sum fails without any mutant"
expect "it kills nothing" says_not "killed"
git checkout -q tests/toy/sum.sh

# A signal in the middle of an endless test: the test ends, too, and the copy is restored.
sed -i "s/^limit 1$/limit 60/" tests/mutants/toy.list
export PAUSED=$tree/paused
scripts/mutants "does not end" >output 2>&1 &
mutants=$!
for _ in $(seq 600); do
  [ -s "$PAUSED" ] && grep -q "sleep 600" build/mutants/toy/sum.sh && break
  sleep 0.1
done
kill -TERM "$mutants"
wait "$mutants"
expect "SIGTERM ends it" test $? -eq 143
expect "its test had begun" test -s "$PAUSED"
expect "its test is ended" eval "! kill -0 $(cat "$PAUSED") 2>/dev/null"
expect "the copy is restored after a signal" cmp -s build/mutants/toy/sum.sh sum.before

[ "$failures" -eq 0 ] && echo "scripts/mutants does what it says"
