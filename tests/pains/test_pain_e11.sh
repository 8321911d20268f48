#!/bin/sh
# SPDX-License-Identifier: MIT
# Pain E11: a value that its type cannot hold is told by the compiler, in C and in C++.
set -u
failed=0

# compiles COMPILER VALUE: whether a shared signed byte may start as VALUE, with warnings as errors.
compiles() {
    printf '#include <mproc.h>\nint f(void);\nint f(void)\n{\nreturn *MP_VALUE(signed char, %s);\n}\n' "$2" |
        $1 -Werror -I"$SRC/include" -fsyntax-only - >/dev/null 2>&1
}

for compiler in "${CC:-cc} -x c" "gcc -x c" "clang -x c" "g++ -x c++" "clang++ -x c++"; do
    command -v "${compiler%% *}" >/dev/null || continue
    compiles "$compiler" 44 || { echo "$compiler refuses 44"; failed=1; }
    compiles "$compiler" 300 && { echo "$compiler takes 300"; failed=1; }
done
[ "$failed" = 0 ] &&
    printf 'pain\tE11\tMP_VALUE(signed char, 300): a warning of the compiler, in C++ an error\n'
exit "$failed"
