#!/bin/sh
# SPDX-License-Identifier: MIT
#
# The README's program is examples/first.c, which the first page of the documentation shows; it
# compiles without a warning and prints what both texts say. No text links to a file that is not
# there.
set -u
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$SRC" || exit 1
CC=${CC:-cc}
status=0

fail() {
    echo "$*"
    status=1
}

# shellcheck disable=SC2016 # the quotes are the text's
sed -n '/^```c$/,/^```$/p' README.md | sed '/^```/d' >"$work/program.c"
sed '/SPDX-License-Identifier/d' examples/first.c | cmp -s - "$work/program.c" ||
    fail "the README's program is not examples/first.c"
printed=$(sed -n 's/^It prints \([0-9]*\)\..*/\1/p' README.md)
[ "$printed" = "$(sed -n 's/^It prints \([0-9]*\)\..*/\1/p' docs/start.md)" ] ||
    fail "README.md and docs/start.md do not print the same"
# shellcheck disable=SC2086 # flags are words
if ! "$CC" -Iinclude -Wall -Wextra -Wpedantic -Werror ${CFLAGS-} -o "$work/program" \
    "$work/program.c" "$O/lib/libmproc.a" ${LDFLAGS-} -pthread -ldl -lrt; then
    fail "the README's program does not compile"
elif [ "$("$work/program")" != "$printed" ] || [ -z "$printed" ]; then
    fail "the README's program does not print what the README says"
fi

# links FILE: the targets of its links to files.
links() {
    grep -o '\]([^)]*)' "$1" | sed 's/^](//; s/)$//; s/#.*//' | grep -v '^https*:' | grep .
}

for text in *.md docs/*.md examples/*.md; do
    for target in $(links "$text"); do
        [ -e "$(dirname "$text")/$target" ] || fail "$text links to $target, which is not there"
    done
done
exit $status
