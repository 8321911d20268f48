/* SPDX-License-Identifier: MIT */
#include "os/symbol.h"

#include <dlfcn.h>
#include <stdio.h>

void mp__symbol_name(const void *code, char *text, size_t size)
{
    Dl_info info;
    if (dladdr(code, &info) == 0 || info.dli_fname == NULL) {
        snprintf(text, size, "%p", code);
        return;
    }
    size_t in_file = (size_t)((const char *)code - (const char *)info.dli_fbase);
    if (info.dli_sname == NULL)
        snprintf(text, size, "%s+0x%zx", info.dli_fname, in_file);
    else
        snprintf(text, size, "%s+0x%zx (%s+0x%zx)", info.dli_fname, in_file, info.dli_sname,
                 (size_t)((const char *)code - (const char *)info.dli_saddr));
}
