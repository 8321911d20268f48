#!/bin/bash
# SPDX-License-Identifier: MIT
#
#   O=BUILD [MAKE=make] [CC=cc] [CXX=c++] run.sh
#
# Installs into temporary places, uses what is there as a stranger would, and takes it away again.
set -euo pipefail
cd "$(dirname "$0")/../.."
MAKE=${MAKE:-make} CC=${CC:-cc} CXX=${CXX:-c++}
tests/packages.sh pkg-config g++
here=$PWD/tests/install
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# expect TEXT COMMAND ...: the command prints TEXT and nothing else.
expect() {
    local want=$1 got
    shift
    got=$("$@")
    [ "$got" = "$want" ] || { echo "$*: printed '$got', not '$want'" >&2 && exit 1; }
    echo "  $want: $(basename "$1")"
}

# use: builds and runs both programs and the examples with what pkg-config finds.
use() {
    local flags libs static
    expect "$version" pkg-config --modversion mproc
    flags=$(pkg-config --cflags mproc) libs=$(pkg-config --libs mproc)
    static=$(pkg-config --static --libs mproc)
    # shellcheck disable=SC2086 # lists of words
    {
        $CC -std=c11 -Wall -Wextra -Wpedantic -Werror $flags "$here/outside.c" -o "$work/c-shared" $libs
        $CXX -std=c++17 -Wall -Wextra -Wpedantic -Werror $flags "$here/outside.cc" -o "$work/c++-shared" $libs
        $CC -std=c11 -static $flags "$here/outside.c" -o "$work/c-static" $static
        $CXX -std=c++17 -static $flags "$here/outside.cc" -o "$work/c++-static" $static
    }
    export LD_LIBRARY_PATH=$1
    expect 'C 42 0 1 4 9' "$work/c-shared"
    expect 'C 42 0 1 4 9' "$work/c-static"
    expect 'C++ 42 0 1 4 9' "$work/c++-shared"
    expect 'C++ 42 0 1 4 9' "$work/c++-static"
    rm -rf "$work/examples"
    mkdir "$work/examples"
    cp -R examples/* "$work/examples"
    env -u MAKEFLAGS -u MFLAGS "$MAKE" -s -C "$work/examples" CC="$CC"
    PACE=0 "$work/examples/process_pool" | grep -q '9604, 9801\]$'
    echo "  the examples build, and process_pool runs"
    unset LD_LIBRARY_PATH
}

# After uninstall nothing is there but what was there before.
listing() { (cd "$work/root" && find . | sort); }
install() { "$MAKE" -s --no-print-directory O="$O" CC="$CC" install "$@" >/dev/null; }
uninstall() {
    "$MAKE" -s --no-print-directory O="$O" CC="$CC" uninstall "$@" >/dev/null
    [ "$(listing)" = "$before" ] || { echo "uninstall $*:" && diff <(echo "$before") <(listing) && exit 1; }
    echo "  install and uninstall leave nothing: $*"
}

version=$(sed -n 's/^#define MP_VERSION_M[AI][JN]OR *\([0-9]*\).*/\1/p;s/^#define MP_VERSION_PATCH *\([0-9]*\).*/\1/p' include/mproc/version.h | paste -sd.)
mkdir -p "$work/root/usr/include"
before=$(listing)

echo "With a prefix:"
place=(PREFIX="$work/root/opt/mproc")
install "${place[@]}"
headers=$(cd "$work/root/opt/mproc/include" && find . -name '*.h' | sort)
[ "$headers" = "$(cd include && find . -name '*.h' | sort)" ]
PKG_CONFIG_PATH=$work/root/opt/mproc/lib/pkgconfig use "$work/root/opt/mproc/lib"
uninstall "${place[@]}"

echo "In a staging directory:"
place=(DESTDIR="$work/root" PREFIX=/usr LIBDIR=/usr/lib/any-linux-gnu)
install "${place[@]}"
install "${place[@]}" # a second time, over the first
libraries=$work/root/usr/lib/any-linux-gnu
PKG_CONFIG_SYSROOT_DIR=$work/root PKG_CONFIG_PATH=$libraries/pkgconfig use "$libraries"
uninstall "${place[@]}"
