# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# Each header compiles alone and twice, without a warning: the public ones as C11 and as C++17, the
# internal ones as C11, by every compiler that is here.

# compile HEADER COMMAND ...
compile() {
    header=$1
    shift
    command -v "$1" >/dev/null || return
    printf '#include <%s>\n#include <%s>\n' "$header" "$header" |
        "$@" -Wall -Wextra -Wpedantic -Werror -fsyntax-only -Iinclude - 2>&1 |
        sed "s|^|$header: $1: |"
}

check() {
    for header in $(cd include && find . -name '*.h' | sed 's|^\./||' | sort); do
        compile "$header" gcc -x c -std=c11
        compile "$header" clang -x c -std=c11
        compile "$header" g++ -x c++ -std=c++17
        compile "$header" clang++ -x c++ -std=c++17
    done
    for header in $(find lib -name '*.h' | sed 's|^lib/||' | sort); do
        compile "$header" gcc -x c -std=c11 -D_GNU_SOURCE -Ilib
        compile "$header" clang -x c -std=c11 -D_GNU_SOURCE -Ilib -Wno-unused-function
    done
}

good() {
    mkdir -p include/mproc lib/base
    printf '#ifndef ONE\n#define ONE\n#include <stddef.h>\nstruct one { size_t n; };\n#endif\n' \
        >include/mproc/one.h
    echo '#include <mproc/one.h>' >lib/base/list.h
}
bad_needs_another() { echo 'size_t f(void);' >include/mproc/two.h; }
bad_twice() { echo 'struct two { int n; };' >include/mproc/two.h; }
bad_cplusplus() { echo 'int f(int class);' >include/mproc/two.h; }
bad_pedantic() { echo 'struct two;;' >include/mproc/two.h; }
bad_internal() { echo 'size_t f(void);' >lib/base/two.h; }
