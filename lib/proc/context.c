/* SPDX-License-Identifier: MIT */
/* The calling process and its surroundings: who, by whom, how many processors, how children are
 * made. */
#include "os/limits.h"
#include "proc/registry.h"

#include <mproc/error.h>

mp_process *mp_current_process(void)
{
    return mp__registry_current();
}

mp_process *mp_parent_process(void)
{
    return mp__registry_parent();
}

int mp_cpu_count(void)
{
    return mp__limits_cpus();
}

int mp_set_start_method(int method)
{
    return method == MP_START_FORK ? 0 : MP_EINVAL;
}

int mp_get_start_method(void)
{
    return MP_START_FORK;
}
