#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Each program of docs/recipes.md prints what the page says and leaves nothing behind; none is longer
# than it should be, and the page shows them all.
# shellcheck source=tests/examples/programs.sh disable=SC2317 # cases are called by name
. "$(dirname "$0")/programs.sh"
SRC=${SRC:-.}
recipes=$(cd "$SRC/examples/recipes" && pwd) || exit 1
page=$SRC/docs/recipes.md

complete() {
    for file in "$recipes"/*.c; do
        name=$(basename "$file" .c)
        [ "$(wc -l <"$file")" -le 60 ] || { echo "$name.c has more than 60 lines" && return 1; }
        grep -q "^@include recipes/$name.c" "$page" || { echo "$name.c is not shown" && return 1; }
        [ "$name" = files ] && continue # it prints what it is given
        grep -q "^@output{recipes/$name.out}" "$page" ||
            { echo "$name.out is not shown" && return 1; }
    done
    for file in "$recipes"/*.out; do
        [ -e "${file%.*}.c" ] || { echo "$file has no program" && return 1; }
    done
}

recipe() {
    prints "recipes/$1" <"$recipes/$1.out"
}

# As wc counts; what cannot be read is told, and the others are counted all the same.
files() {
    for file in "$recipes"/*.c; do
        printf '%7d %s\n' "$(wc -l <"$file")" "$file"
    done >"$work/expected"
    runs_well recipes/files "$recipes"/*.c && same "$work/expected" "$work/out" || return 1
    launch recipes/files "$work/missing" "$recipes"/*.c
    ended 1 && same "$work/expected" "$work/out" || return 1
    echo "$work/missing: No such file or directory" >"$work/expected"
    same "$work/expected" "$work/err" && prints recipes/files </dev/null
}

case_of complete
case_of files
for file in "$recipes"/*.out; do
    case_of recipe "$(basename "$file" .out)"
done
finish
