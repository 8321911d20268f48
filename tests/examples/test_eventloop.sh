#!/bin/sh
# SPDX-License-Identifier: MIT
#
# eventloop takes everything out of queue, timer and pipe, each in its order; how they mix is left to
# chance.
# shellcheck source=tests/examples/programs.sh disable=SC2317 # cases are called by name
. "$(dirname "$0")/programs.sh"

# part KIND: the lines of one kind are those on standard input.
part() {
    cat >"$work/expected"
    grep "^$1: " "$work/out" >"$work/part"
    same "$work/expected" "$work/part"
}

eventloop() {
    runs_well eventloop &&
        printf 'queue: %s\n' 1 4 9 16 25 36 49 64 81 100 | part queue &&
        printf 'timer: tick %s\n' 1 2 3 | part timer &&
        printf 'pipe: line %s\n' 1 2 3 | part pipe &&
        [ "$(tail -n 1 "$work/out")" = 'that is all' ] && [ "$(wc -l <"$work/out")" = 17 ]
}

# It sleeps while nothing happens: a loop that goes round all the time takes as much processor time as
# it lasts.
uses_little_time() {
    PACE=0.5 launch eventloop
    sleep 0.3
    used=$(awk '{ print $14 + $15 }' "/proc/$pid/stat")
    ended 0 || return 1
    [ "$used" -le 10 ] || { echo "$used hundredths of a second in 0.3 s" && return 1; }
}

case_of eventloop
case_of within 3 uses_little_time
finish
