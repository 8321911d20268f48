#!/bin/sh
# SPDX-License-Identifier: MIT
#
# docs/from-python.md has every public name of the Python that is here, if one is.
cd "${SRC:-.}" || exit 1
python3 -c 'import sys, multiprocessing; sys.exit(sys.version_info < (3, 9))' 2>/dev/null || {
    echo "no python3 of 3.9 or later"
    exit 77
}
exec python3 -B tests/docs/from_python.py docs/from-python.md
