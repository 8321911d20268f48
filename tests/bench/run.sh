#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   run.sh PROGRAM ...
#
# Runs benchmarks. With BENCH_QUICK, all of them together end within a minute: each gets its share
# of the time that is left, according to how much it has to do.
set -u
seconds=55 # what runs over comes on top

share() {
    case ${1##*/} in
    queue) echo 12 ;;
    roundtrip) echo 6 ;;
    connection | idle | pool_tasks) echo 5 ;;
    lock | pool_start) echo 4 ;;
    pool_map) echo 9 ;;
    barrier | condition | event | shared) echo 3 ;;
    *) echo 2 ;;
    esac
}

[ "${BENCH_QUICK:-0}" != 0 ] || BENCH_QUICK=
if [ -n "${BENCH_TSV:-}" ]; then
    printf 'bench\tpeer\tmetric\tvalue\tunit\n' >"$BENCH_TSV" || exit 1
fi
shares=0
for program; do
    shares=$((shares + $(share "$program")))
done
end=$(($(date +%s) + seconds))
failed=
for program; do
    if [ -n "$BENCH_QUICK" ]; then
        now=$(date +%s)
        left=$((end > now ? end - now : 0))
        BENCH_END=$((now + left * $(share "$program") / shares))
        export BENCH_END
        shares=$((shares - $(share "$program")))
    fi
    "$program" || failed="$failed ${program##*/}"
done
[ -z "$failed" ] || {
    echo "could not be measured:$failed"
    exit 1
}
