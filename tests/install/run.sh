#!/bin/bash
# SPDX-License-Identifier: MIT
#
#   O=BUILD [MAKE=make] [CC=cc] [CXX=c++] run.sh
#
# Installs into temporary places, uses what is there as a stranger would, and takes it away again.
set -euo pipefail
cd "$(dirname "$0")/../.."
MAKE=${MAKE:-make} CC=${CC:-cc} CXX=${CXX:-c++}
tests/packages.sh pkg-config g++ cmake
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# outside CMAKE-OPTION [VARIABLE=VALUE ...]: all uses, with nothing in the environment but these, and
# where it can be done without this tree.
if [ "$(id -u)" = 0 ]; then hide=(unshare -m); else hide=(unshare -rm); fi
case $work/ in "$PWD"/*) hide=(false) ;; esac
"${hide[@]}" mount -t tmpfs none "$PWD" 2>/dev/null && seen=no || seen=yes
outside() {
    local cmake=$1
    shift
    rm -rf "$work/uses"
    cp -R tests/install/uses "$work/uses"
    cp -R examples "$work/uses/examples"
    set -- env -i PATH="$PATH" HOME="$work" TMPDIR="$work" LC_ALL=C.UTF-8 CC="$CC" CXX="$CXX" "$@" \
        "$work/uses/uses.sh" "$version" "$cmake"
    if [ "$seen" = no ]; then
        # shellcheck disable=SC2016 # for the inner shell to expand
        set -- "${hide[@]}" sh -c 'mount -t tmpfs none "$0" && cd / && exec "$@"' "$PWD" "$@"
    fi
    "$@"
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

[ "$seen" = yes ] || echo "Nobody sees the source tree."
echo "With a prefix:"
place=(PREFIX="$work/root/opt/mproc")
install "${place[@]}"
headers=$(cd "$work/root/opt/mproc/include" && find . -name '*.h' | sort)
[ "$headers" = "$(cd include && find . -name '*.h' | sort)" ]
libraries=$work/root/opt/mproc/lib
outside -DCMAKE_PREFIX_PATH="$work/root/opt/mproc" LIBDIR="$libraries" PKG_CONFIG_PATH="$libraries/pkgconfig"
uninstall "${place[@]}"

echo "In a staging directory:"
place=(DESTDIR="$work/root" PREFIX=/usr LIBDIR=/usr/lib/any-linux-gnu)
install "${place[@]}"
install "${place[@]}" # a second time, over the first
libraries=$work/root/usr/lib/any-linux-gnu
outside -Dmproc_DIR="$libraries/cmake/mproc" LIBDIR="$libraries" PKG_CONFIG_PATH="$libraries/pkgconfig" \
    PKG_CONFIG_SYSROOT_DIR="$work/root" LESS=1
uninstall "${place[@]}"
