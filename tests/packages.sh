#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   packages.sh PACKAGE ...
#
# Installs the Debian packages whose work cannot be done yet, if it may; else it names them.
set -u

# has HEADER [LANGUAGE]: whether the compiler finds it.
has() {
    echo "#include <$1>" | ${CC:-cc} -x "${2:-c}" -E - -o /dev/null 2>/dev/null
}

# Whether what the package is for works, wherever it came from.
works() {
    case $1 in
    abigail-tools) command -v abidiff >/dev/null ;;
    chromium-driver) command -v chromedriver >/dev/null ;;
    debhelper) command -v dh >/dev/null ;;
    devscripts) command -v hardening-check >/dev/null ;;
    dpkg-dev) command -v dpkg-buildpackage >/dev/null ;;
    doxygen-awesome-css) [ -e /usr/share/doxygen-awesome-css/doxygen-awesome.css ] ;;
    graphviz) command -v dot >/dev/null ;;
    libboost-dev) has boost/interprocess/ipc/message_queue.hpp c++ ;;
    libqb-dev) has qb/qbrb.h ;;
    libzmq3-dev) has zmq.h ;;
    libnng-dev) has nng/nng.h ;;
    libtbb-dev) has tbb/parallel_for.h c++ ;;
    systemtap-sdt-dev) has sys/sdt.h ;;
    libcmocka-dev)
        printf '%s\n' '#include <stdarg.h>' '#include <stddef.h>' '#include <stdint.h>' \
            '#include <setjmp.h>' '#include <cmocka.h>' 'int main(void) { return 0; }' |
            ${CC:-cc} -x c - -o /dev/null -lcmocka 2>/dev/null
        ;;
    llvm) command -v llvm-ar >/dev/null ;;
    man-db) command -v mandb >/dev/null ;;
    libc6-dbg) valgrind -q true >/dev/null 2>&1 ;; # it needs the symbols of ld.so
    *) command -v "$1" >/dev/null ;;
    esac
}

missing=
for package; do
    works "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    sudo=
elif sudo -n true 2>/dev/null; then
    sudo=sudo
else
    echo "Missing packages; please install them:$missing" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "Missing, and there is no apt-get to install them (Debian's names):$missing" >&2
    exit 1
fi
echo "Installing with apt-get:$missing"
# shellcheck disable=SC2086 # a list of words
install="$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
$install >"$log" 2>&1 || { $sudo apt-get update -qq && $install; } >"$log" 2>&1 || {
    cat "$log" >&2
    echo "apt-get could not install:$missing" >&2
    exit 1
}
for package in $missing; do
    works "$package" || { echo "$package was installed but does not work" >&2 && exit 1; }
done
