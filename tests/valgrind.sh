#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   valgrind.sh PROGRAM ...
#
# Runs a test program under valgrind. An error in memory counts in the program and in all that it
# forks; a leak in the program alone: a forked child ends amid functions whose pointers are gone
# with their registers. MP_TEST_VALGRIND=1 tells a test of limits, which valgrind bends, to skip.
#
# The arena is as large as half of the memory, nearly all of it holes, which valgrind would fill by
# looking for pointers there; it is never larger than the file size limit.
set -u
ulimit -f $((64 * 1024 * 2)) # 64 MiB
export MP_TEST_VALGRIND=1
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
# shellcheck disable=SC2016 # for the inner shell
sh -c 'logs=$1 && shift && echo $$ >"$logs/pid" && exec valgrind -q --vgdb=no --error-exitcode=99 \
    --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=none \
    --log-file="$logs/%p" "$@"' sh "$logs" "$@"
status=$?
main=$(cat "$logs/pid")
rm "$logs/pid"
for log in "$logs"/*; do
    found='Invalid |uninitialised|ismatched free|overlap'
    [ "$log" != "$logs/$main" ] || found="$found|definitely lost"
    if grep -E -A 20 "$found" "$log"; then
        status=99
    fi
done
exit "$status"
