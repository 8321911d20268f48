#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   [MAKE=make] [CC=cc] [T=NAME] check_dist.sh BUILD VERSION
#
# The release, unpacked where there is no git: builds with gcc and make alone, passes its tests,
# installs, and makes the same release.
set -eu
build=$1
name=libmproc-$2
MAKE=${MAKE:-make}
CC=${CC:-cc}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

fail() {
    echo "check-dist: $*" >&2
    exit 1
}
quietly() {
    "$@" >"$work/log" 2>&1 || { cat "$work/log" && fail "$*"; }
}
outside() { quietly env -u MAKEFLAGS -u MFLAGS -u O "$MAKE" --no-print-directory "$@"; }

quietly "$MAKE" -s --no-print-directory O="$build" dist
first=$(sha256sum <"$build/$name.tar.xz")
(umask 077 && LC_ALL=C.UTF-8 TZ=Asia/Tokyo quietly "$MAKE" -s --no-print-directory O="$build" dist)
[ "$first" = "$(sha256sum <"$build/$name.tar.xz")" ] || fail "the same commit gave other bytes"
echo "  $name.tar.xz: $(stat -c %s "$build/$name.tar.xz") bytes, the same twice"
tar -xJf "$build/$name.tar.xz" -C "$work"
[ "$(ls "$work")" = "$(printf '%s\nlog' "$name")" ] || fail "it unpacks to more than $name"

# The programs of this machine without what a plain one does not have.
mkdir "$work/bin"
for directory in /usr/bin /bin; do
    for program in "$directory"/*; do
        case ${program##*/} in
        git | doxygen | dot | python* | pkg-config | pkgconf | cmake | clang* | *-g++ | g++) ;;
        *) [ -e "$work/bin/${program##*/}" ] || ln -s "$program" "$work/bin" ;;
        esac
    done
done
path=$PATH
PATH=$work/bin
compiler=$(PATH=$path command -v "$CC")
goal=check-quick
[ -z "${T-}" ] || goal=check # which reads T from the environment
cd "$work/$name"
outside -j2 CC="$compiler"
echo "  make"
outside -s -j2 CC="$compiler" "$goal"
echo "  tests: $(tail -n 1 "$work/log")"
outside install DESTDIR="$work/root" PREFIX=/usr
for file in lib/libmproc.so.0 lib/libmproc.a lib/pkgconfig/mproc.pc lib/cmake/mproc/mproc-config.cmake \
    include/mproc.h include/mproc/queue.h share/doc/libmproc/examples/Makefile \
    $([ ! -d man ] || echo share/man/man3/mp_queue_put.3 share/man/man7/mproc.7); do
    [ -f "$work/root/usr/$file" ] || fail "$file is not installed"
done
installed=$(find "$work/root" ! -type d | wc -l)
outside uninstall DESTDIR="$work/root" PREFIX=/usr
[ ! -e "$work/root" ] || fail "uninstall leaves: $(find "$work/root")"
echo "  make install, uninstall: $installed files"
outside dist
[ "$first" = "$(sha256sum <"build/$name.tar.xz")" ] || fail "the unpacked release makes another one"
echo "  make dist: the same bytes, from MANIFEST"
changed=$(find . -path ./build -prune -o -newer MANIFEST ! -type d -print)
[ -z "$changed" ] || fail "the build wrote into its sources: $changed"
