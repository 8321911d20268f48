#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The programs of the gallery that are about deaths: jobrunner, logpipeline, hashtable. They print
# what stands in examples/output, and stay right when their processes are killed.
# shellcheck source=tests/examples/programs.sh disable=SC2317 # cases are called by name
. "$(dirname "$0")/programs.sh"
SRC=$(cd "${SRC:-.}" && pwd)
texts=$SRC/examples/output

# others: the processes of what was launched, but not itself; those that started first come first,
# which have the numbers that follow on its own, and then those from the beginning again.
others() {
    processes_of "$mark" | grep -vx "$pid" | awk -v main="$pid" '{ print ($1 < main), $1 }' |
        sort -k 1,1n -k 2,2n | cut -d ' ' -f 2
}

there_are() {
    [ "$(others | wc -l)" -ge "$1" ]
}

jobrunner() {
    launch jobrunner "$texts/jobrunner.jobs" 0.5
    ended 1 && same "$texts/jobrunner.out" "$work/out" && [ ! -s "$work/err" ]
}

jobrunner_all_well() {
    printf 'sum 10\nmoody 2\n' >"$work/jobs"
    printf '%s\n' 'sum        10   tries: 1   55' 'moody       2   tries: 3   3' |
        prints jobrunner "$work/jobs" 60 && : | prints jobrunner /dev/null 1
}

jobrunner_refuses() {
    refuses jobrunner && refuses jobrunner "$work/missing" 1 && refuses jobrunner /dev/null 0 &&
        refuses jobrunner /dev/null x || return 1
    for line in 'sum' 'sum x' 'none 1' ''; do
        printf 'sum 1\n%s\n' "$line" >"$work/jobs"
        launch jobrunner "$work/jobs" 1
        ended 2 && grep -q '^jobrunner: no job' "$work/err" && [ ! -s "$work/out" ] || return 1
    done
}

# Processes: a supervisor first, and then workers.
hangs() {
    printf 'sum 10\nhang 0\n' >"$work/jobs"
    launch jobrunner "$work/jobs" 60
    comes_true there_are 2
}

jobrunner_loses_its_workers() {
    hangs || return 1
    while kill -0 "$pid" 2>/dev/null; do
        # shellcheck disable=SC2046 # numbers
        kill -KILL $(others | tail -n +2) 2>/dev/null
        sleep 0.2
    done
    ended 1 || return 1
    printf '%s\n' 'sum        10   tries: N   55' \
        'hang        0   tries: 3   MP_ECRASHED: the worker was killed by signal 9 (SIGKILL)' \
        >"$work/expected"
    sed -i '1s/tries: [1-3]/tries: N/' "$work/out"
    same "$work/expected" "$work/out"
}

jobrunner_loses_its_supervisor() {
    hangs && kill -KILL "$(others | head -n 1)" && ended 1 && grep -q '^mp_pool_submit' "$work/err"
}

logpipeline() {
    prints logpipeline "$texts/logpipeline.log" <"$texts/logpipeline.out" || return 1
    sed 's/ *[0-9]*$//' "$texts/logpipeline.out" | awk '{ printf "%-5s %9d\n", $1, 0 }' |
        prints logpipeline -
}

logpipeline_refuses() {
    refuses logpipeline && refuses logpipeline "$work/missing" && refuses logpipeline a b || return 1
    launch logpipeline "$work"
    ended 1 && grep -qx 'logpipeline: the reader ended: 1' "$work/err"
}

# log FIRST LAST: lines of a log.
log() {
    awk -v first="$1" -v last="$2" 'BEGIN {
        for (i = first; i <= last; i++)
            if (i % 101 == 0) print "line " i
            else printf "10.0.0.1 - - [01/Jan/2026:00:00:00 +0000] \"GET /%d HTTP/1.1\" %d %d\n", i,
                i % 7 == 0 ? 404 : 200, i
    }'
}

# The log is a pipe: its second half comes when some parsers were killed.
logpipeline_loses_parsers() {
    rm -f "$work/log"
    mkfifo "$work/log" && launch logpipeline "$work/log"
    {
        log 1 50000
        for _ in 1 2 3 4 5 6; do
            kill -KILL "$(others | tail -n 1)" "$(others | sed -n 2p)"
            log 50001 50000
            sleep 0.05
        done
        log 50001 100000
    } >"$work/log" 2>"$work/why"
    ended 0 || return 1
    log 1 100000 | awk '
        /^line/ { none++; next }
        { n[int($9 / 100)]++; bytes += $10 }
        END {
            for (i = 1; i < 6; i++) printf "%dxx   %9d\n", i, n[i]
            printf "none  %9d\nbytes %9.0f\n", none, bytes
        }' >"$work/expected"
    same "$work/expected" "$work/out" && grep -q '^parsers killed: [1-9]' "$work/err"
}

logpipeline_loses_its_reader() {
    rm -f "$work/log"
    mkfifo "$work/log" && launch logpipeline "$work/log"
    exec 3>"$work/log"
    comes_true there_are 5 && kill -KILL "$(others | head -n 1)"
    exec 3>&-
    ended 1 && grep -qx 'logpipeline: the reader ended: -9' "$work/err" && [ ! -s "$work/out" ]
}

hashtable() {
    prints hashtable <"$texts/hashtable.out"
}

hashtable_loses_more() {
    launch hashtable
    for _ in 1 2 3 4 5 6 7 8; do
        kill -KILL "$(others | tail -n 1)" 2>/dev/null
        sleep 0.05
    done
    ended 0 && tail -n 1 "$texts/hashtable.out" >"$work/expected" &&
        tail -n 1 "$work/out" | same "$work/expected" - &&
        grep -q '^fillers killed: [1-9]' "$work/out"
}

it_runs() {
    grep -q '^State:.[^Z]' "/proc/$pid/status" 2>/dev/null
}

# gone PROGRAM [ARGUMENT ...]: whoever is left when the program is killed ends with it. A quick one
# may have ended before.
gone() {
    launch "$@"
    until there_are 2 || ! it_runs; do
        sleep 0.01
    done
    kill -KILL "$pid"
    ended 137
}

case_of within 3 jobrunner
case_of jobrunner_all_well
case_of jobrunner_refuses
case_of within 3 jobrunner_loses_its_workers
case_of jobrunner_loses_its_supervisor
case_of logpipeline
case_of logpipeline_refuses
case_of logpipeline_loses_parsers
case_of logpipeline_loses_its_reader
case_of hashtable
case_of hashtable_loses_more
for program in hashtable 'pi 100000'; do
    # shellcheck disable=SC2086 # words
    case_of within 10 gone $program
done
finish
