#!/bin/bash
# SPDX-License-Identifier: MIT
#
#   LIBDIR=DIRECTORY CC=cc CXX=c++ [LESS=1] uses.sh VERSION [CMAKE-OPTION ...]
#
# Uses an installed library in every way in which programs take one in. It is run in a copy of this
# directory, and knows of the library what pkg-config and CMake say, and where the shared one lies.
# LESS: only what depends on the place.
set -euo pipefail
cd "$(dirname "$0")"
version=$1
shift
strict=(-Wall -Wextra -Wpedantic -Werror)

# prints TEXT COMMAND ...: the command prints TEXT and nothing else.
prints() {
    local want=$1 got
    shift
    got=$("$@" 2>&1) || { echo "$*: status $?, printed '$got'" >&2 && exit 1; }
    [ "$got" = "$want" ] || { echo "$*: printed '$got', not '$want'" >&2 && exit 1; }
}

ok() { echo "  $*"; }

# runs TEXT COMPILER-AND-OPTIONS ...: builds the program with these and runs it.
runs() {
    local want=$1
    shift
    "$@" -o program
    prints "$want" ./program
}

both() {
    runs 'C 42 0 1 4 9' "$CC" -std=c11 "${strict[@]}" "$@" "${cflags[@]}" outside.c "${libs[@]}"
    runs 'C++ 42 0 1 4 9' "$CXX" -std=c++17 "${strict[@]}" "$@" "${cflags[@]}" outside.cc "${libs[@]}"
}

prints "$version" pkg-config --modversion mproc
read -ra cflags <<<"$(pkg-config --cflags mproc)"
read -ra static <<<"$(pkg-config --static --libs mproc)"
read -ra shared <<<"$(pkg-config --libs mproc)"
export LD_LIBRARY_PATH=$LIBDIR
libs=("${shared[@]}")
both
ok 'pkg-config, shared: C, C++'
libs=("${static[@]}")
LD_LIBRARY_PATH='' both -static
LD_LIBRARY_PATH='' both -static-pie -fPIE
ok 'pkg-config, static: C, C++'

libs=("${shared[@]}")
# Its thread-local variables must fit into what the C library keeps free for those that come late.
tls=$(readelf -lW "$LIBDIR/libmproc.so" | awk '$1 == "TLS" { print $6 }')
[ $((${tls:-0})) -le 256 ] || { echo "thread-local variables take $((tls)) bytes" >&2 && exit 1; }
"$CC" -std=c11 "${strict[@]}" "${cflags[@]}" late.c -o program -pthread -ldl
prints 'late 42 1 4 9 ours' ./program "libmproc.so.${version%%.*}"
ok 'dlopen, in a thread, and dlclose'

"$CC" -std=c11 "${strict[@]}" "${cflags[@]}" -shared -fPIC plugin.c -o plugin.so "${libs[@]}"
"$CC" -std=c11 "${strict[@]}" host.c -o program -ldl
prints 'plugin 285 2470 8555' ./program ./plugin.so
"$CC" -std=c11 "${strict[@]}" "${cflags[@]}" -shared -fPIC plugin.c -o plugin.so "$LIBDIR/libmproc.a" \
    -Wl,--exclude-libs,ALL -Wl,-z,nodelete -pthread -ldl -lrt
prints 'plugin 285 2470 8555' ./program ./plugin.so
ok 'a plugin that uses it, linked with the shared one and with the static one'

cmake -S . -B cmake -DVERSION="$version" "$@" >log || { cat log && exit 1; }
cmake --build cmake >>log || { cat log && exit 1; }
prints 'C 42 0 1 4 9' cmake/c_mproc
prints 'C++ 42 0 1 4 9' cmake/cxx_mproc
LD_LIBRARY_PATH='' prints 'C 42 0 1 4 9' cmake/c_mproc_static
LD_LIBRARY_PATH='' prints 'C++ 42 0 1 4 9' cmake/cxx_mproc_static
ok 'CMake, shared and static: C, C++'

if command -v python3 >/dev/null; then
    prints "$(cat examples/python/ctypes_queue.out)" python3 examples/python/ctypes_queue.py
    ok 'Python, by ctypes'
fi

[ -z "${LESS-}" ] || exit 0

both -fsanitize=address,undefined -fno-sanitize-recover=all -g
ok 'pkg-config, shared, in a program with ASan and UBSan: C, C++'

# The static one in a program that has all else shared.
libs=("$LIBDIR/libmproc.a" -pthread -ldl -lrt)
LD_LIBRARY_PATH='' both -Wl,--gc-sections
ok 'libmproc.a alone'

libs=("${shared[@]}")
for compiler in "$CXX" g++ clang++; do
    command -v "$compiler" >/dev/null || continue
    for standard in c++17 c++20 gnu++20; do
        runs 'owners yy 2000 2000' "$compiler" -std=$standard "${strict[@]}" \
            "${cflags[@]}" owners.cc "${libs[@]}"
    done
done
ok 'C++17 and C++20: owners, guards, exceptions'

# No header is noisy, nor what its macros leave in the program, whatever warnings are on.
noisy=("${strict[@]}" -Wconversion -Wsign-conversion -Wshadow -Wundef -Wcast-qual -Wcast-align
    -Wformat=2 -Wfloat-equal -Wswitch-default -Wwrite-strings -Wredundant-decls -Wunused-macros)
c=(-Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition -Wbad-function-cast
    -Wnested-externs -Wdouble-promotion)
cxx=(-Wold-style-cast -Wzero-as-null-pointer-constant -Weffc++ -Wextra-semi)
clang=(-Weverything -Wno-padded -Wno-c++98-compat -Wno-c++98-compat-pedantic -Wno-pre-c2x-compat
    -Wno-declaration-after-statement -Wno-unknown-warning-option -Wno-pre-c++20-compat
    -Wno-unsafe-buffer-usage)
quiet() { ! command -v "$1" >/dev/null || "$@" "${noisy[@]}" "${cflags[@]}" -fsyntax-only macros.h; }
for standard in 11 17; do
    quiet gcc -x c -std=c$standard -O2 "${c[@]}"
    quiet clang -x c -std=c$standard "${clang[@]}"
done
for standard in 11 17 20; do
    quiet g++ -x c++ -std=c++$standard "${cxx[@]}" -Wuseless-cast
    quiet clang++ -x c++ -std=c++$standard "${cxx[@]}" "${clang[@]}"
done
ok 'all warnings, in C11, C17, C++11, C++17, C++20: none'

make -s -C examples CC="$CC" all guide >log || { cat log && exit 1; }
PACE=0 examples/process_pool | grep -q '9604, 9801\]$'
ok 'the examples build, and process_pool runs'
