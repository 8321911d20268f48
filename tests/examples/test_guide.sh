#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each program of the guide prints what its page says, and leaves nothing behind; its Python twin
# prints the same. The twins run meanwhile, and not again for a sanitizer's sake.
# shellcheck source=tests/examples/programs.sh disable=SC2317 # cases are called by name
. "$(dirname "$0")/programs.sh"
SRC=${SRC:-.}
guide=$(cd "$SRC/examples/guide" && pwd) || exit 1

# No file is forgotten because another's name has changed.
complete() {
    set -- "$guide"/*.c
    [ -e "$1" ] || { echo "no program" && return 1; }
    for file in "$guide"/*.py "$guide"/*.out; do
        [ -e "${file%.*}.c" ] || { echo "$file has no program" && return 1; }
    done
}

program() {
    prints "guide/$1" <"$guide/$1.out"
}

# start_twins: runs all the Python programs, two at a time; each leaves NAME.twin and NAME.status.
# shellcheck disable=SC2016 # the inner shell expands
start_twins() {
    for file in "$guide"/*.py; do
        basename "$file" .py
    done | MPROC_EXAMPLE=$$.twins xargs -P 2 -I NAME sh -c '
        timeout -k 5 60 python3 "$1/NAME.py" >"$2/NAME.twin" 2>&1 </dev/null
        echo $? >"$2/NAME.status"' twins "$guide" "$work" &
    twins=$!
}

twin() {
    program=$1.py
    [ "$(cat "$work/$1.status")" = 0 ] || { cat "$work/$1.status" "$work/$1.twin" && return 1; }
    same "$guide/$1.out" "$work/$1.twin"
}

twins_leave_nothing() {
    mark=$$.twins
    comes_true nothing_runs || { echo "left behind: $(processes_of "$mark")" && return 1; }
}

python_is_here() {
    case ${CFLAGS-} in *-fsanitize=*) return 1 ;; esac
    python3 -c 'import sys, multiprocessing; sys.exit(sys.version_info < (3, 9))' 2>/dev/null
}

case_of complete
twins=
python_is_here && start_twins
for file in "$guide"/*.c; do
    case_of program "$(basename "$file" .c)"
done
if [ -n "$twins" ]; then
    wait "$twins"
    for file in "$guide"/*.py; do
        case_of twin "$(basename "$file" .py)"
    done
    case_of twins_leave_nothing
fi
finish
