/* SPDX-License-Identifier: MIT */
#include "os/symbol.h"

#include "os/elf.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HEADERS_MOST 64
#define NAME_MOST    200
#define SELF         "/proc/self/exe" /* the program itself, also if its file was replaced */

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

/* ---- with static functions ---- */

/* A loaded file. */
typedef struct module {
    ElfW(Addr) code;
    ElfW(Addr) base;
    size_t headers; /* 0: not found */
    ElfW(Phdr) header[HEADERS_MOST];
    char path[PATH_MAX];
} module;

static int find_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    module *m = arg;
    bool mine = false;
    for (int i = 0; i < info->dlpi_phnum; i++)
        mine |= info->dlpi_phdr[i].p_type == PT_LOAD &&
                m->code - info->dlpi_addr - info->dlpi_phdr[i].p_vaddr < info->dlpi_phdr[i].p_memsz;
    if (!mine || info->dlpi_phnum > HEADERS_MOST)
        return mine;
    m->base = info->dlpi_addr;
    m->headers = info->dlpi_phnum;
    memcpy(m->header, info->dlpi_phdr, m->headers * sizeof *m->header);
    snprintf(m->path, sizeof m->path, "%s", info->dlpi_name[0] != '\0' ? info->dlpi_name : SELF);
    return 1;
}

static const char *short_name(const module *m)
{
    const char *slash = strrchr(m->path, '/');
    if (strcmp(m->path, SELF) == 0)
        return program_invocation_short_name;
    return slash != NULL ? slash + 1 : m->path;
}

/* From the file's own table. */
static bool find_in_file(const module *m, ElfW(Addr) address, char *name, ElfW(Addr) * start)
{
    int fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    bool found = mp__elf_is(fd, m->header, m->headers) &&
                 mp__elf_function(fd, address - m->base, name, NAME_MOST, start);
    close(fd);
    if (found)
        *start += m->base;
    return found;
}

/* From what the dynamic linker knows. */
static bool find_exported(ElfW(Addr) address, char *name, ElfW(Addr) * start)
{
    Dl_info info;
    const ElfW(Sym) *symbol = NULL;
    if (dladdr1((const void *)address, &info, (void **)&symbol, RTLD_DL_SYMENT) == 0 ||
        info.dli_sname == NULL || symbol == NULL ||
        address - (ElfW(Addr))info.dli_saddr >= symbol->st_size)
        return false;
    snprintf(name, NAME_MOST, "%s", info.dli_sname);
    *start = (ElfW(Addr))info.dli_saddr;
    return true;
}

void mp__symbol_describe(const void *code, bool returns, char *text, size_t size)
{
    int saved = errno;
    char name[NAME_MOST];
    ElfW(Addr) start, address = (ElfW(Addr))code;
    module m = {.code = address - (returns ? 1 : 0)};
    dl_iterate_phdr(find_module, &m);
    if (m.headers == 0)
        snprintf(text, size, "0x%zx", (size_t)address);
    else if (find_exported(m.code, name, &start) || find_in_file(&m, m.code, name, &start))
        snprintf(text, size, "%s+0x%zx (%s)", name, (size_t)(address - start), short_name(&m));
    else
        snprintf(text, size, "0x%zx (%s)", (size_t)(address - m.base), short_name(&m));
    errno = saved;
}
