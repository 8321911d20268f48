# shellcheck shell=sh disable=SC2154 # run.sh sets lints and notes
# SPDX-License-Identifier: MIT
# Style: C sources are as clang-format writes them, scripts have nothing that shellcheck warns of.
# Either is left out where the tool is missing.

check() {
    if command -v clang-format >/dev/null; then
        find lib include examples tests -name '*.[ch]' -o -name '*.cc' | sort |
            xargs -r clang-format --dry-run -Werror --style=file 2>&1 | grep 'error:'
    fi
    if command -v shellcheck >/dev/null; then
        { find tests pkgconfig -name '*.sh'; echo .ci/run; } | sort |
            xargs shellcheck --severity=info --format=gcc 2>&1
    fi
}

good() {
    mkdir -p lib include examples tests pkgconfig .ci
    cp "$lints/../../.clang-format" .
    printf 'int mp__one(void)\n{\n    return 1;\n}\n' >lib/one.c
    # shellcheck disable=SC2016 # for the sample, not for us
    printf '#!/bin/sh\necho "$1"\n' | tee tests/one.sh >.ci/run
}
bad_indent() { printf 'int mp__one(void) {\n  return 1;\n}\n' >lib/one.c; }
# shellcheck disable=SC2016 # for the sample, not for us
bad_quotes() { printf '#!/bin/sh\necho $1\n' >.ci/run; }
