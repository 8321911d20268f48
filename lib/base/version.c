/* SPDX-License-Identifier: MIT */
#include <mproc/version.h>

int mp_version(void)
{
    return MP_VERSION;
}
