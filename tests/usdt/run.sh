#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   O=BUILD SRC=SOURCE run.sh
#
# The library in O/usdt has the probes of docs/debugging.md, with as many arguments as it says, in
# both its forms; the one in O has none; and a program runs as ever.
set -u
: "${O:=build}" "${SRC:=.}"
export LC_ALL=C
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

# probes FILE: name and number of arguments of each, once.
probes() {
    readelf -n "$1" 2>/dev/null | awk '
        $1 == "Provider:" { ours = $2 == "mproc" }
        $1 == "Name:" { name = $2 }
        $1 == "Arguments:" && ours { print name, NF - 1 }' | sort -u
}

fail() {
    echo "$*"
    exit 1
}

# shellcheck disable=SC2016 # the quotes are the text's
sed -n '/{#debugging_probes}/,/^# /p' "$SRC/docs/debugging.md" | grep '^| `[a-z_]*`' |
    awk -F'|' '{ gsub(/[` ]/, "", $2); print $2, split($3, list, ",") }' | sort >"$work/told"
[ "$(wc -l <"$work/told")" -ge 12 ] || fail 'docs/debugging.md has no list of probes'
for form in so a; do
    probes "$O/usdt/lib/libmproc.$form" >"$work/$form"
    diff "$work/told" "$work/$form" || fail "docs/debugging.md (<) and libmproc.$form (>) differ"
done
[ -z "$(probes "$O/lib/libmproc.so")" ] || fail 'the library has probes though nobody asked for them'
"$O/usdt/examples/process_pool" >/dev/null || fail 'process_pool fails'
echo "$(wc -l <"$work/told") probes"
