#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Writes a C file with one variable that has each public enumeration, and an enumeration of the
# public macros that are numbers: to be seen in the debug information.
set -eu
export LC_ALL=C
headers='include/mproc/*.h'

echo '#include <mproc.h>'
echo 'enum mp_abi_macros {'
# shellcheck disable=SC2086 # a pattern
sed -n 's/^#define \(MP_[A-Z_]*\)  *(\{0,1\}-\{0,1\}[0-9][0-9]*)\{0,1\}\( .*\)\{0,1\}$/\1/p' $headers | grep -v '^MP_VERSION' | sort |
    sed 's/.*/    ABI_& = &,/'
echo '    ABI_MP_ESYS_1 = MP_ESYS(1),'
echo '};'
echo 'struct mp_abi_constants {'
echo '    enum mp_abi_macros macros;'
# shellcheck disable=SC2086 # a pattern
sed -n 's/^enum \(mp_[a-z_]*\) {.*/\1/p' $headers | sort | sed 's/.*/    enum & &;/'
echo '};'
echo 'extern struct mp_abi_constants mp_abi_constants;'
echo 'struct mp_abi_constants mp_abi_constants;'
