# shellcheck shell=sh
# SPDX-License-Identifier: MIT
#
# shellcheck disable=SC2317 # cases are called by name
# What the tests of the example programs share. Each case is a function that ends with status 0 if
# all is well; it says on standard output what is not.
set -u
export LC_ALL=C
O=$(cd "${O:-build}" && pwd) || exit 1
PACE=${PACE_OF_TESTS:-0.05}
export PACE
work=$(mktemp -d "${TMPDIR:-/tmp}/mproc-examples.XXXXXX") || exit 1
trap 'chmod -R u+rwX "$work" && rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0
runs=0

# Whose environment holds MPROC_EXAMPLE=$1: the program that was run with it, and all its descendants.
processes_of() {
    grep -lsz "^MPROC_EXAMPLE=$1\$" /proc/[0-9]*/environ | cut -d/ -f3
}

named_memory() {
    ls -d /dev/shm/mp* /dev/shm/sem.mp* 2>/dev/null
}

# Whether the command becomes true within 20 seconds.
comes_true() {
    tries=0
    until "$@"; do
        tries=$((tries + 1))
        [ "$tries" -lt 200 ] || return 1
        sleep 0.1
    done
}

nothing_runs() {
    [ -z "$(processes_of "$mark")" ]
}

# A neighbour's entries come and go; so what is new now counts only if it stays.
no_new_memory() {
    ! named_memory | grep -qvxF "${memory:-none}"
}

# launch PROGRAM [ARGUMENT ...]: starts it; its output goes to the files out and err.
launch() {
    runs=$((runs + 1))
    mark=$$.$runs
    memory=$(named_memory)
    program=$1
    shift
    MPROC_EXAMPLE=$mark "$O/examples/$program" "$@" >"$work/out" 2>"$work/err" </dev/null &
    pid=$!
}

# ended STATUS: waits for what was launched; its exit status is as told, and nothing is left of it.
ended() {
    status=0
    wait "$pid" || status=$?
    ok=0
    [ "$status" = "$1" ] || { echo "$program: exit status $status, not $1" && ok=1; }
    comes_true nothing_runs || { echo "$program: left behind: $(processes_of "$mark")" && ok=1; }
    comes_true no_new_memory || { echo "$program: left in /dev/shm: $(named_memory)" && ok=1; }
    [ "$ok" = 0 ] || cat "$work/err"
    return "$ok"
}

# runs_well PROGRAM [ARGUMENT ...]: status 0, nothing on standard error.
runs_well() {
    launch "$@"
    ended 0 || return 1
    [ ! -s "$work/err" ] || { echo "$program: unexpected: $(cat "$work/err")" && return 1; }
}

# refuses PROGRAM [ARGUMENT ...]: status 2 and how it is used.
refuses() {
    launch "$@"
    ended 2 && grep -q "^usage: $1 " "$work/err" && [ ! -s "$work/out" ]
}

# same EXPECTED GOT: the files are equal.
same() {
    cmp -s "$1" "$2" && return
    echo "$program: expected (-) and printed (+):"
    diff "$1" "$2" | sed -n -e 's/^</-/p' -e 's/^>/+/p' | cut -c1-200 | head -n 20
    return 1
}

# prints PROGRAM [ARGUMENT ...] <EXPECTED: it prints exactly that.
prints() {
    cat >"$work/expected"
    runs_well "$@" && same "$work/expected" "$work/out"
}

# within N CASE [ARGUMENT ...]: the case is told by chance now and then; one of N runs of it must
# succeed.
within() {
    left=$1
    shift
    until "$@" >"$work/why"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { cat "$work/why" && return 1; }
    done
}

case_of() {
    if why=$("$@" 2>&1); then
        passed=$((passed + 1))
        echo "ok: $*"
    else
        failed=$((failed + 1))
        printf 'FAILED: %s\n%s\n' "$*" "$why"
    fi
}

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
    exit
}

# What the cases rely on: a process that is left behind is seen, by its environment alone.
leftovers_are_seen() {
    mark=$$.self
    MPROC_EXAMPLE=$mark sleep 60 &
    comes_true left_behind
    seen=$?
    kill $! && wait $! 2>/dev/null
    [ "$seen" = 0 ] && comes_true nothing_runs
}

left_behind() {
    ! nothing_runs
}
