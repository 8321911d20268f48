#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   deb.sh BUILD VERSION
#
# Builds the Debian packages from the release, in BUILD/deb. Nothing of the caller's environment
# goes in but DEB_BUILD_OPTIONS.
set -eu
build=$1
name=libmproc-$2
version=$(dpkg-parsechangelog -l debian/changelog -S Version)

[ "${version%-*}" = "$2" ] || {
    echo "deb: debian/changelog is at $version, include/mproc/version.h at $2" >&2
    exit 1
}
${MAKE:-make} -s --no-print-directory O="$build" dist
rm -rf "$build/deb"
mkdir -p "$build/deb"
cp "$build/$name.tar.xz" "$build/deb/libmproc_$2.orig.tar.xz"
cd "$build/deb"
tar -xJf "libmproc_$2.orig.tar.xz"
cd "$name"
: "${DEB_BUILD_OPTIONS:=parallel=2}"
env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=/nonexistent \
    DEB_BUILD_OPTIONS="$DEB_BUILD_OPTIONS" dpkg-buildpackage -us -uc >../build.log 2>&1 || {
    tail -n 40 ../build.log >&2
    echo "deb: see $build/deb/build.log" >&2
    exit 1
}
cd ..
rm -rf "$name"
for package in *.deb; do echo "  $build/deb/$package"; done
