#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   check_reproducible.sh BUILD
#
# Builds the library once more: in a directory of another name and depth, by an absolute path, under
# another umask, zone, language and order; and compares what is built and what is installed.
set -eu
build=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
there=$work/some/other/place

run() {
    env -u MAKEFLAGS -u MFLAGS -u O "${MAKE:-make}" -s --no-print-directory "$@" >"$work/log" 2>&1 ||
        { cat "$work/log" && exit 1; }
}

mkdir -p "$there"
tar -c --exclude='./build*' --exclude=./.git . | tar -x -C "$there"
run O="$build" install-lib DESTDIR="$work/here"
(
    cd "$there"
    umask 077
    LC_ALL=tr_TR.UTF-8 TZ=Asia/Tokyo USER=other HOME=/nonexistent
    export LC_ALL TZ USER HOME
    run -j3 O="$work/elsewhere" install-lib DESTDIR="$work/there"
    # Who installs as root must not find something to build.
    run -q O="$work/elsewhere" lib || { echo "check-reproducible: a second make builds again" >&2 && exit 1; }
)
for name in libmproc.a libmproc.so; do
    cmp "$build/lib/$name" "$work/elsewhere/lib/$name" || {
        echo "check-reproducible: $name is not the same when it is built elsewhere" >&2
        exit 1
    }
done
for place in here there; do
    (cd "$work/$place" && find . -printf '%p %M %l\n' | LC_ALL=C sort) >"$work/$place.list"
done
diff "$work/here.list" "$work/there.list"
diff -r "$work/here" "$work/there"
echo "  built here and elsewhere: the same bytes"
