#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The programs of the gallery that compute: what they print is what stands in examples/output, also
# when their workers are killed.
# shellcheck source=tests/examples/programs.sh disable=SC2317 # cases are called by name
. "$(dirname "$0")/programs.sh"
SRC=$(cd "${SRC:-.}" && pwd)
expected=$SRC/examples/output

# workers: the processes of what was launched whose parents are neither it nor strangers, but its
# pool's supervisor.
workers() {
    for process in $(processes_of "$mark"); do
        cat "/proc/$process/stat"
    done 2>/dev/null | awk -v main="$pid" '
        { child = $1; sub(/.*\) /, ""); parent[child] = $2 }
        END { for (p in parent) if (parent[p] != main && parent[p] in parent) print p }'
}

some_work() {
    ! kill -0 "$pid" 2>/dev/null || [ -n "$(workers)" ]
}

# kill_workers N: kills all that work, N times. An item runs again three times at most.
kill_workers() {
    for _ in $(seq "$1"); do
        comes_true some_work || return 1
        # shellcheck disable=SC2046 # numbers
        kill -KILL $(workers) 2>/dev/null && killed=$((killed + 1))
        sleep 0.02
    done
}

# survives PROGRAM ARGUMENT ...: prints the same as before though its workers are killed.
survives() {
    killed=0
    runs_well "$@" && mv "$work/out" "$work/expected" || return 1
    launch "$@"
    kill_workers 3
    ended 0 && same "$work/expected" "$work/out" || return 1
    [ "$killed" -gt 0 ] || { echo "no worker was killed in time" && return 1; }
}

# The drawing's line is that of the page but for the name, its file is as long as it must be.
mandelbrot() {
    (cd "$work" && runs_well mandelbrot mandelbrot.ppm 600) || return 1
    sed 's/png/ppm/' "$expected/mandelbrot.out" >"$work/expected"
    same "$work/expected" "$work/out" && [ "$(head -n 1 "$work/mandelbrot.ppm")" = 'P6 600 400 255' ] &&
        [ "$(wc -c <"$work/mandelbrot.ppm")" = $((15 + 600 * 400 * 3)) ]
}

mandelbrot_refuses() {
    refuses mandelbrot && refuses mandelbrot --help && refuses mandelbrot "$work/m.ppm" 2 &&
        refuses mandelbrot "$work/m.ppm" 20001 && refuses mandelbrot "$work/m.ppm" 9x && refuses mandelbrot "$work/m.ppm" 9 9
}

# The compressed bytes depend on zlib; what they hold is the picture of the page.
mandelbrot_as_png() {
    if refuses mandelbrot "$work/m.png"; then
        return # built without libpng
    fi
    (cd "$work" && prints mandelbrot mandelbrot.png 600) <"$expected/mandelbrot.out" || return 1
    command -v python3 >/dev/null || return 0
    python3 - "$work/mandelbrot.png" "$SRC/docs/mandelbrot.png" <<'END'
import struct, sys, zlib

def holds(path):
    data, at, chunks = open(path, "rb").read(), 8, {}
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        chunks[kind] = chunks.get(kind, b"") + data[at + 8:at + 8 + length]
        at += 12 + length
    return chunks[b"IHDR"], chunks[b"PLTE"], zlib.decompress(chunks[b"IDAT"])

sys.exit(holds(sys.argv[1]) != holds(sys.argv[2]) and "the picture of the page is another")
END
}

# On a terminal, which `script` makes.
mandelbrot_shows_a_bar() {
    command -v script >/dev/null || return 0
    script -qec "'$O/examples/mandelbrot' '$work/m.ppm' 600" /dev/null </dev/null >"$work/out" &&
        grep -q '100 %' "$work/out"
}

mandelbrot_cannot_write() {
    launch mandelbrot "$work/missing/m.ppm" 30
    ended 1 && grep -q "^$work/missing/m.ppm: No such file" "$work/err"
}

pi() {
    prints pi <"$expected/pi.out" && head -n 2 "$expected/pi.out" | prints pi 2 &&
        refuses pi 0 && refuses pi x && refuses pi 1 2
}

# Who reads goes away: the program ends by SIGPIPE, and its workers with it.
pi_into_a_closed_pipe() {
    mark=$$.pipe
    MPROC_EXAMPLE=$mark "$O/examples/pi" 100000 2>"$work/err" | head -n 1 >"$work/out"
    head -n 1 "$expected/pi.out" | same - "$work/out" && comes_true nothing_runs
}

sieve() {
    prints sieve <"$expected/sieve.out" && head -n 1 "$expected/sieve.out" | prints sieve 10 &&
        echo '            5 primes up to            11: one in 2.200' | cat "$work/out" - | prints sieve 11 &&
        refuses sieve 1 && refuses sieve 1000000000001 && refuses sieve ''
}

case_of mandelbrot
case_of mandelbrot_as_png
case_of mandelbrot_shows_a_bar
case_of mandelbrot_cannot_write
case_of mandelbrot_refuses
case_of within 3 survives mandelbrot "$work/m.ppm" 900
case_of pi
case_of within 3 survives pi 2000
case_of pi_into_a_closed_pipe
case_of sieve
case_of within 3 survives sieve 200000000
finish
