#!/bin/sh
# SPDX-License-Identifier: MIT
# docs/pains.md has a row for each pain that is tested, and no other.
set -eu
grep -ho '^| [A-Z][0-9]* ' "$SRC/docs/pains.md" | tr -d '| ' | sort >"$TMPDIR/rows"
grep -hoE 'ours\("[A-Z][0-9]+|pain\\t[A-Z][0-9]+' "$SRC"/tests/pains/test_* |
    sed 's/.*[("t]//' | sort >"$TMPDIR/tests"
diff "$TMPDIR/rows" "$TMPDIR/tests"
rm "$TMPDIR/rows" "$TMPDIR/tests"
