#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   table.sh TEST ...
#
# Runs the tests of pains, and Python in the same situations, and writes a row for each pain:
# | pain | Python | here |. Fails if one of the tests does.
set -eu
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work/tmp"
mkdir "$TMPDIR"

for test in "$@"; do
    "$test" >"$work/log" 2>&1 || { cat "$work/log"; exit 1; }
    sed -n 's/^pain	//p' "$work/log" >>"$work/ours"
done
python3 "$here/python_pains.py" >"$work/python" || echo "table.sh: no Python's side" >&2

python3 --version 2>/dev/null | sed 's/^/Beside /'
sort -V "$work/ours" | while IFS='	' read -r pain text; do
    python=$(sed -n "s/^$pain	//p" "$work/python")
    printf '| %s | %s | %s |\n' "$pain" "${python:-not played}" "$text"
done
