#!/bin/sh
# SPDX-License-Identifier: MIT
# The macros of shared memory in C++, by every compiler that is here, without a warning.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
tried=0 linked=0
for compiler in g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    tried=$((tried + 1))
    "$compiler" -std=c++17 -Wall -Wextra -Wpedantic -Wshadow -Werror -I"$SRC/include" \
        -fsyntax-only "$SRC/tests/unit/shared_cplusplus.cc"
    # shellcheck disable=SC2086 # flags are words
    if "$compiler" -std=c++17 ${CFLAGS-} -I"$SRC/include" -o "$dir/program" \
        "$SRC/tests/unit/shared_cplusplus.cc" "$O/lib/libmproc.a" ${LDFLAGS-} -pthread -ldl -lrt \
        2>"$dir/log"; then
        "$dir/program"
        linked=1
    fi
done
[ "$tried" -gt 0 ] || exit 77
# Sanitizers of one compiler do not link with another, but with one of them the library does.
[ "$linked" = 1 ] || { cat "$dir/log" && exit 1; }
