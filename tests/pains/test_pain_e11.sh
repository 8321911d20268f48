#!/bin/sh
# SPDX-License-Identifier: MIT
# Pain E11: a value that its type cannot hold is told by the compiler, in C and in C++.
set -u
failed=0

# compiles COMPILER VALUE: whether a shared signed byte may start as VALUE, with warnings as errors.
compiles() {
    printf '#include <mproc.h>\nvoid f(void);\nvoid f(void)\n{\nmp_shared_free(MP_VALUE(signed char, %s));\n}\n' \
        "$2" | $1 -Werror -I"$SRC/include" -fsyntax-only - >/dev/null 2>&1
}

for compiler in "${CC:-cc} -x c" "gcc -x c" "clang -x c" "g++ -x c++" "clang++ -x c++"; do
    command -v "${compiler%% *}" >/dev/null || continue
    compiles "$compiler" 44 || { echo "$compiler refuses 44"; failed=1; }
    compiles "$compiler" 300 && { echo "$compiler takes 300"; failed=1; }
done
[ "$failed" = 0 ] && printf 'pain\tE11\tthe compiler tells: MP_VALUE(signed char, 300) is a warning, in C++ an error\n'
exit "$failed"
