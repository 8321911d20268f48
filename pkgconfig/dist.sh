#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   dist.sh BUILD VERSION RESULT
#
# Packs the release. Nothing of the time, the user, the locale or the work tree goes into it: files
# are those of the last commit, or of MANIFEST, times are SOURCE_DATE_EPOCH, or the commit's.
set -eu
umask 022
export LC_ALL=C TZ=UTC
build=$1
name=libmproc-$2
result=$3

rm -rf "$build/dist"
mkdir -p "$build/dist/$name"
tree=$(cd "$build/dist/$name" && pwd)
if [ -e .git ]; then
    : "${SOURCE_DATE_EPOCH:=$(git log -1 --format=%ct)}"
    git archive HEAD | tar -x -C "$tree"
    [ -z "$(git status --porcelain --untracked-files=no)" ] ||
        echo "dist: what is not committed is not in it" >&2
    number='s/^#define MP_VERSION_[MP][AI][JNT][A-Z]* *\([0-9]*\).*/\1/p'
    committed=$(sed -n "$number" "$tree/include/mproc/version.h" | paste -sd.)
    [ "$committed" = "$2" ] || {
        echo "dist: the last commit is version $committed, include/mproc/version.h says $2" >&2
        exit 1
    }
    export SOURCE_DATE_EPOCH
    if command -v doxygen >/dev/null && command -v python3 >/dev/null; then
        ${MAKE:-make} -s --no-print-directory -C "$tree" O=.dist man >&2
        mv "$tree/.dist/man" "$tree/man"
        rm -rf "$tree/.dist" "$tree/man/.made"
    else
        echo "dist: without manual pages, for which doxygen and python3 are needed" >&2
    fi
    (cd "$tree" && find . -type f -o -type l) | sed 's|^\./||' | { cat && echo MANIFEST; } |
        sort >"$build/dist/MANIFEST"
    mv "$build/dist/MANIFEST" "$tree"
elif [ -f MANIFEST ]; then
    : "${SOURCE_DATE_EPOCH:=$(stat -c %Y MANIFEST)}"
    tar -c -T MANIFEST | tar -x -C "$tree"
else
    echo "dist: neither a git work tree nor an unpacked release (no MANIFEST)" >&2
    exit 1
fi

tar -c -C "$build/dist" --format=gnu --sort=name --owner=0 --group=0 --numeric-owner \
    --mode=u+rwX,go+rX,go-w --mtime="@$SOURCE_DATE_EPOCH" "$name" | xz -T1 -9 >"$result.new"
mv "$result.new" "$result"
rm -rf "$build/dist"
echo "$result: $(stat -c %s "$result") bytes, sha256 $(sha256sum <"$result" | cut -c1-16)..."
