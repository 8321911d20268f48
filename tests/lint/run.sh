#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   O=BUILD [CC=cc] run.sh [NAME ...]
#
# Runs the lints: every other tests/lint/*.sh, or those that are named. A lint defines
#
#   check    run at the top of a tree: prints what is wrong there, one line each, and nothing else
#   good     run in an empty directory: makes a small tree in which nothing is wrong
#   bad_...  changes that tree so that check must find something
#
# Before a lint's word on the tree counts it has to be silent on `good` and to speak on each `bad_`.
set -u
lints=$(cd "$(dirname "$0")" && pwd)
tree=$(cd "$lints/../.." && pwd)
O=${O:-$tree/build}
CC=${CC:-cc}
notes=
export lints notes O CC
export LC_ALL=C # awk's length counts bytes, the lists are sorted alike everywhere
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# in_sample LINT [CHANGE]: what check says about a sample tree.
in_sample() (
    # shellcheck source=/dev/null
    . "$1"
    rm -rf "$work/sample"
    mkdir "$work/sample"
    cd "$work/sample" || exit 1
    O=$work/sample/build
    good
    [ $# = 1 ] || "$2"
    check 2>&1
)

# try LINT: its cases, then the tree.
try() {
    said=$(in_sample "$1")
    if [ -n "$said" ]; then
        printf 'the lint complains about a good tree:\n%s\n' "$said"
    fi
    sed -n 's/^\(bad_[a-z_0-9]*\)().*/\1/p' "$1" | while read -r change; do
        said=$(in_sample "$1" "$change")
        [ -n "$said" ] || echo "the lint does not see $change"
    done
    grep -q '^bad_' "$1" || echo "the lint has no case that must fail"
    (
        # shellcheck source=/dev/null
        . "$1"
        cd "$tree" && check
    ) 2>&1
}

passed=0
failed=0
if [ $# = 0 ]; then
    for file in "$lints"/*.sh; do
        set -- "$@" "$(basename "$file" .sh)"
    done
fi
for name; do
    [ "$name" != run ] || continue
    notes=$work/notes # a lint may write there what it wants to have said in any case
    : >"$notes"
    said=$(try "$lints/$name.sh")
    if [ -z "$said" ]; then
        passed=$((passed + 1))
        echo "ok   $name$(sed 's/^/: /' "$notes" | tail -n 1)"
    else
        failed=$((failed + 1))
        echo "FAIL $name"
        printf '%s\n' "$said" | sed 's/^/    /'
    fi
done
echo "$passed lints passed, $failed failed"
[ "$failed" = 0 ]
