#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   check_abi.sh REFERENCE NOW
#
# Compares. What is gone or changed fails, what was added is told.
set -eu
reference=$1
now=$2

here=$(sed -n "1s/.*architecture='\([^']*\)'.*/\1/p" "$now")
there=$(sed -n "1s/.*architecture='\([^']*\)'.*/\1/p" "$reference")
if [ "$here" != "$there" ]; then
    echo "check-abi: the reference is that of $there, this is $here: not compared"
    exit 0
fi

compare() {
    abidiff --no-added-syms "$reference" "$1"
}

# refused WHAT SCRIPT: the comparison sees what the sed script breaks; else it would prove nothing.
refused() {
    sed "$2" "$now" >"$now.broken"
    ! cmp -s "$now" "$now.broken" || { echo "check-abi: found nothing to break: $1" >&2 && exit 1; }
    ! compare "$now.broken" >/dev/null || { echo "check-abi: abidiff does not see $1" >&2 && exit 1; }
    rm "$now.broken"
}

status=0
changes=$(compare "$now") || status=$?
if [ $((status & 3)) != 0 ]; then # its own troubles
    echo "check-abi: abidiff failed: $changes" >&2
    exit 1
elif [ "$status" != 0 ]; then
    printf '%s\n' "$changes" >&2
    echo "check-abi: the binary interface is not that of $reference." >&2
    echo "If that is meant: see the head of pkgconfig/abi.mk, then make abi symbols" >&2
    exit 1
fi
refused "a function that is gone" "/elf-symbol.* name='mp_queue_put'/d"
refused "another value" "s/name='MP_REDELIVER' value='2'/name='MP_REDELIVER' value='3'/"
refused "another layout" "/class-decl name='mp_queue_options'/,/\/class-decl/s/offset-in-bits='64'/offset-in-bits='96'/"
grown=$(abidiff "$reference" "$now") || {
    printf '%s\n' "$grown"
    echo "  the binary interface has grown; a release writes that down: make abi symbols"
    exit 0
}
echo "  the binary interface is that of $reference"
