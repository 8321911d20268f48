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

# Where and of what, in lines that begin with #.
about() {
    echo "# date: $(date -u '+%Y-%m-%d %H:%M') UTC"
    echo "# machine: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) processors"
    echo "# kernel: $(uname -sr)"
    echo "# C library: $(getconf GNU_LIBC_VERSION)"
    echo "# compiler: $(${CC:-cc} --version | head -n 1)"
    echo "# commit: $(git describe --always --dirty 2>/dev/null || echo unknown)"
    echo "# load before: $(cut -d' ' -f1-3 /proc/loadavg)"
    [ -z "$BENCH_QUICK" ] || echo '# with: QUICK=1'
}

if [ -n "${BENCH_TSV:-}" ]; then
    { about && printf 'bench\tpeer\tmetric\tvalue\tunit\n'; } >"$BENCH_TSV" || exit 1
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
