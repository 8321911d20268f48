#!/bin/bash
# SPDX-License-Identifier: MIT
#
#   check_deb.sh BUILD VERSION
#
# The Debian packages: built, looked at by lintian, built again elsewhere at another time and with
# other settings into the same bytes, hardened, complete, and of use to a program outside. Installs
# nothing: packages are unpacked into a directory.
set -euo pipefail
export LC_ALL=C.UTF-8
build=$1 version=$2
here=$PWD
deb=$build/deb
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root

fail() {
    echo "check-deb: $*" >&2
    exit 1
}

"${MAKE:-make}" -s --no-print-directory O="$build" deb

said=$(lintian --allow-root --fail-on error,warning "$deb"/*.changes 2>&1) || fail "lintian: $said"
echo "  lintian: no error, no warning"

# Another place, umask, zone, language; architecture and documentation built apart; no tests.
again=$work/elsewhere
mkdir "$again"
dpkg-source -x "$deb"/*.dsc "$again/source" >/dev/null 2>&1
for part in -B -A; do
    (cd "$again/source" && umask 002 &&
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/ TZ=Asia/Tokyo USER=other \
            DEB_BUILD_OPTIONS="nocheck parallel=2" dpkg-buildpackage -us -uc $part) \
        >"$work/log" 2>&1 || { tail -n 40 "$work/log" && fail "the second build, $part"; }
done
count=0
for package in "$deb"/*.deb; do
    cmp "$package" "$again/${package##*/}" || fail "built twice, ${package##*/} is not the same"
    count=$((count + 1))
done
[ "$count" = 4 ] || fail "$count packages, not 4: $(echo "$deb"/*.deb)"
echo "  built twice: the same bytes, 4 packages"

for package in "$deb"/*.deb; do
    dpkg-deb -x "$package" "$root"
done
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
libraries=$root/usr/lib/$triplet

# A shared library is no PIE, and bookworm does not ask for control flow protection.
said=$(hardening-check --nopie --nocfprotection "$libraries/libmproc.so.0") || fail "hardening: $said"
grep -q 'Stack protected: yes' <<<"$said" || fail "hardening: $said"
readelf -lW "$libraries/libmproc.so.0" | grep -q 'GNU_STACK.* RW  *0x' || fail "an executable stack"
readelf -dW "$libraries/libmproc.so.0" | grep -q 'FLAGS.*NOW' || fail "bound lazily"
! readelf -dW "$libraries/libmproc.so.0" | grep -qE 'RPATH|RUNPATH|TEXTREL' || fail "a path or text relocations"
echo "  hardened: stack protector, fortified, read-only relocations, bound at start, no executable stack"

for file in "usr/lib/$triplet/"{libmproc.so,libmproc.so.0,"libmproc.so.$version",libmproc.a,pkgconfig/mproc.pc} \
    "usr/lib/$triplet/cmake/mproc/"mproc-config{,-version}.cmake \
    $(cd include && find . -name '*.h' | sed 's|^\.|usr/include|') \
    usr/share/man/man3/mp_{queue_put,pool_map,version}.3.gz usr/share/man/man7/mproc.7.gz \
    usr/share/doc/libmproc-dev/{html/index.html,examples/Makefile,examples/process_pool.c,README.md.gz} \
    usr/share/doc/libmproc{0,-dev,-doc}/{copyright,changelog.gz,changelog.Debian.gz} \
    usr/share/doc-base/libmproc-doc.libmproc; do
    [ -e "$root/$file" ] || fail "$file is in no package"
done
while read -r name; do
    [ -e "$root/usr/share/man/man3/$name.3.gz" ] || fail "$name has no manual page"
done < <(sed -n 's/^ *\(mp_[a-z_0-9]*\);.*/\1/p' lib/libmproc.map)
libmproc0=$(echo "$deb/libmproc0_"*.deb)
dpkg-deb -f "$libmproc0" Depends | grep -qE '^libc6 \(>= [0-9.]+\)$' ||
    fail "libmproc0 needs more than the C library: $(dpkg-deb -f "$libmproc0" Depends)"
echo "  contents: $(find "$root" ! -type d | wc -l) files"

AUTOPKGTEST_TMP=$work/outside
mkdir "$AUTOPKGTEST_TMP"
export AUTOPKGTEST_TMP PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_LIBDIR=$libraries/pkgconfig \
    CMAKE_PREFIX_PATH=$root/usr CMAKE_LIBRARY_ARCHITECTURE=$triplet LD_LIBRARY_PATH=$libraries
"$here/debian/tests/outside" 2>&1 | sed 's/^/  /'
