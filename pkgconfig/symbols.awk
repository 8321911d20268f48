# SPDX-License-Identifier: MIT
#
# debian/libmproc0.symbols from lib/libmproc.map: each name came with the release of its block.
#
#   awk -v major=0 -f symbols.awk lib/libmproc.map

BEGIN {
    printf "libmproc.so.%s libmproc%s #MINVER#\n", major, major
    print "* Build-Depends-Package: libmproc-dev"
}
/^MPROC_[0-9.]+ *\{/ {
    node = $1
    release = substr(node, 7) ".0"
    printf " %s@%s %s\n", node, node, release
}
/^ *mp_[a-z0-9_]+;/ {
    sub(/;.*/, "", $1)
    printf " %s@%s %s\n", $1, node, release | "LC_ALL=C sort"
}
/^}/ { close("LC_ALL=C sort") }
