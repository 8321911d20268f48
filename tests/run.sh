#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   O=BUILD SRC=SOURCE [JOBS=TWICE-THE-PROCESSORS] [LIMIT=120] [WRAP=COMMAND] run.sh TEST ...
#
# Runs test programs and scripts, each under tests/runner.c, with a TMPDIR of its own and O and SRC
# in its environment. One line for each; the output only of those that fail. A test fails by its
# exit status, by its time, and by what it leaves: a process, a file in TMPDIR or /dev/shm. 77 means
# skipped. A program's cases count one by one (cmocka tells), a script as one.
set -u
export O SRC
logs=$O/tests/log

named_memory() {
    for file in /dev/shm/mp* /dev/shm/sem.mp*; do
        [ -e "$file" ] && printf '%s\n' "$file"
    done
}

# Prints what is in /dev/shm now and is not in list $1; what a neighbour has there soon goes away.
new_memory() {
    tries=0
    while new=$(named_memory | grep -vxF "${1:-none}"); [ -n "$new" ] && [ "$tries" -lt 20 ]; do
        tries=$((tries + 1))
        sleep 0.1
    done
    printf '%s' "$new"
}

# Sets passed, failed and skipped from the log's cmocka summary and the exit status.
count() {
    # shellcheck disable=SC2016 # for eval to expand
    eval "$(LC_ALL=C sed -n \
        -e 's/^\[=*\] Running \([0-9]*\) test.*/ran=$((ran + \1))/p' \
        -e 's/^\[  PASSED  \] \([0-9]*\) test.*/passed=$((passed + \1))/p' \
        -e 's/^\[  SKIPPED \] \([0-9]*\) test.*/skipped=$((skipped + \1))/p' \
        -e 's/^\[  FAILED  \] \([0-9]*\) test.*/failed=$((failed + \1))/p' "$1")"
    if [ "$status" = 77 ] && [ "$failed" = 0 ]; then
        skipped=$((skipped ? skipped : 1)) passed=0 status=0
    elif [ "$status" = 0 ] && [ "$ran" = 0 ]; then
        passed=1
    elif [ "$status" = 0 ] && [ $((passed + skipped)) != "$ran" ]; then
        echo "run.sh: $ran cases were to run, $passed passed, $skipped were skipped" >>"$1"
        status=1
    fi
    # Cases that broke off, in a crash or in their setup, are in no summary.
    [ "$status" = 0 ] || failed=$((failed ? failed : 1))
    [ "$ran" -le $((passed + skipped + failed)) ] || failed=$((ran - passed - skipped))
}

why() {
    case $status in
    124) echo "out of time" ;;
    125) echo "left a process behind" ;;
    1[3-9]?) echo "killed by signal $((status - 128))" ;;
    *) echo "status $status" ;;
    esac
}

one() {
    name=${1##*tests/}
    log=$logs/$(echo "$name" | tr / .)
    TMPDIR=$(mktemp -d /tmp/mproc-test.XXXXXX) || exit 1
    export TMPDIR
    trap 'rm -rf "$TMPDIR"' EXIT
    trap 'exit 1' HUP INT TERM
    memory=$(named_memory)
    case $1 in *.sh) wrap= ;; *) wrap=${WRAP-} ;; esac
    start=$(date +%s%N)
    # shellcheck disable=SC2086 # WRAP is a command with its arguments
    "$O/tests/runner" "${LIMIT:-120}" $wrap "$1" >"$log" 2>&1
    status=$?
    time=$((($(date +%s%N) - start) / 10000000))
    left=$(new_memory "$memory"; ls -A "$TMPDIR")
    if [ -n "$left" ]; then
        echo "run.sh: left behind: $left" >>"$log"
        [ "$status" = 0 ] && status=1
    fi
    ran=0 passed=0 failed=0 skipped=0
    count "$log"
    echo "$passed $failed $skipped $name" >>"$logs/results"
    seconds=$(printf '%3d.%02d s' $((time / 100)) $((time % 100)))
    if [ "$failed" != 0 ]; then
        text=$(printf 'FAIL %s  %s: %s\n' "$seconds" "$name" "$(why)"; sed 's/^/    /' "$log")
        printf '%s\n' "$text"
    elif [ "$passed" = 0 ]; then
        printf 'skip %s  %s\n' "$seconds" "$name"
    else
        printf 'ok   %s  %s (%s)\n' "$seconds" "$name" "$passed"
    fi
}

if [ "${1-}" = --one ]; then
    one "$2"
    exit 0
fi

mkdir -p "$logs"
rm -f "$logs"/*
: >"$logs/results"
[ $# = 0 ] || printf '%s\n' "$@" | xargs -P "${JOBS:-$(($(nproc) * 2))}" -n 1 "$0" --one
awk -v tests=$# '
    { passed += $1; failed += $2; skipped += $3 }
    $2 { print "FAIL " $4 }
    END {
        if (NR != tests || NR == 0) {
            print tests ? tests - NR " tests did not run" : "no test was chosen"
            failed++
        }
        if (skipped)
            print skipped " skipped"
        print passed + 0 " passed, " failed + 0 " failed"
        exit failed != 0
    }' "$logs/results"
