#!/bin/sh
# SPDX-License-Identifier: MIT
# MP_WITH and types: the four that can be held compile without a warning, in C and in C++, where
# the block runs as in C; all else is an error of the compiler's.
set -u
CC=${CC:-cc} CXX=${CXX:-c++}
here=$(cd "$(dirname "$0")" && pwd)
cd "$SRC" || exit 1 # its path may hold spaces
strict="-Wall -Wextra -Wpedantic -Werror -Iinclude"
failed=0

fail() {
    echo "$1"
    failed=1
}

# try COMPILER LANGUAGE STATEMENTS: whether a function with these statements compiles.
try() {
    # shellcheck disable=SC2086 # a list of words
    printf '#include <mproc.h>\nint f(void *v, int rc);\nint f(void *v, int rc)\n{\n%s\nreturn rc + (v != NULL);\n}\n' \
        "$3" | $1 -x $2 $strict -fsyntax-only - >"$TMPDIR/messages" 2>&1
}

for compiler in "$CC -std=c11" "gcc -std=c11" "clang -std=c11" "$CXX -std=c++17" \
    "g++ -std=c++17" "clang++ -std=c++17"; do
    command -v "${compiler%% *}" >/dev/null || continue
    case $compiler in *++*) language=c++ ;; *) language=c ;; esac
    for kind in mp_lock mp_rlock mp_condition mp_semaphore; do
        try "$compiler" $language "$kind *x = ($kind *)v; MP_WITH (x) { rc++; } MP_WITH_STATUS(x, rc) { rc--; }" ||
            fail "$compiler refuses $kind: $(cat "$TMPDIR/messages")"
        try "$compiler" $language "const $kind *x = ($kind *)v; MP_WITH (x) { rc++; }" &&
            fail "$compiler takes a const $kind *"
        try "$compiler" $language "$kind x = *($kind *)v; MP_WITH (x) { rc++; }" &&
            fail "$compiler takes a $kind for a pointer"
    done
    for wrong in 'mp_event *' 'mp_barrier *' 'mp_queue *' 'void *' 'int *'; do
        try "$compiler" $language "$wrong x = ($wrong)v; MP_WITH (x) { rc++; }" &&
            fail "$compiler takes a $wrong"
    done
    try "$compiler" $language "MP_WITH (NULL) { rc++; }" && fail "$compiler takes NULL"
    # The alignment is the structure's: one of the typedef alone is lost in a C++ template's T.
    for kind in mp_lock mp_rlock mp_condition mp_semaphore mp_event mp_barrier; do
        try "$compiler" $language "rc += (int)sizeof(char[__alignof__(struct $kind) == 16 ? 1 : -1]);" ||
            fail "$compiler loses the alignment of struct $kind"
    done
done
rm -f "$TMPDIR/messages"

if command -v "$CXX" >/dev/null; then
    # What a sanitizer's build has linked in, its users need, too.
    sanitize=$(sed -n 's/.*\(-fsanitize=[a-z,]*\).*/\1/p' "$O/.flags")
    # shellcheck disable=SC2086 # lists of words
    if $CXX -std=c++17 $strict $sanitize "$here/with.cc" "$O/lib/libmproc.a" -o "$TMPDIR/with" \
        -pthread -ldl -lrt; then
        "$TMPDIR/with" || fail "with.cc returned $?"
    else
        fail "with.cc does not build"
    fi
    rm -f "$TMPDIR/with"
fi
exit $failed
