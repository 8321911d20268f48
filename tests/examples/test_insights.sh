#!/bin/sh
# SPDX-License-Identifier: MIT
#
# insights prints a table of four workers, one of which died, and of the eight slowest items; and it
# writes a trace.
# shellcheck source=tests/examples/programs.sh disable=SC2317 # cases are called by name
. "$(dirname "$0")/programs.sh"
SRC=${SRC:-.}

# Sixty items have run; the one that died is none of them.
table() {
    awk '
        NR == 1 { bad = $0 !~ /^place +items +failed +busy s +waiting s +starting s +starts +deaths$/ }
        /^PoolWorker-[1-4] / { places++; items += $2; starts += $(NF - 1); deaths += $NF }
        /^all / { bad = bad || $2 != 60 || $(NF - 1) != 5 || $NF != 1 }
        / s +[0-9]+ +1  PoolWorker-[1-4]$/ { slowest++ }
        END {
            print places " places, " items " items, " starts " starts, " deaths " deaths, " slowest " slowest"
            exit bad || places != 4 || items != 60 || starts != 5 || deaths != 1 || slowest != 8
        }' "$work/out"
}

insights() {
    runs_well insights && table && ! grep -q Open "$work/out"
}

with_a_trace() {
    runs_well insights "$work/trace.json" && table || return 1
    [ "$(tail -n 1 "$work/out")" = "Open $work/trace.json at https://ui.perfetto.dev" ] || return 1
    command -v python3 >/dev/null || return 0
    python3 "$SRC/tests/unit/trace.py" "$work/trace.json" 'of("done") == set(range(60))' \
        'of("lost") == {17}' 'instants == {"started": 5, "ended": 4, "died": 1}'
}

where_nothing_can_be_written() {
    launch insights "$work/missing/trace.json"
    ended 1 && grep -q '^mp_pool_new' "$work/err"
}

case_of insights
case_of with_a_trace
case_of where_nothing_can_be_written
finish
