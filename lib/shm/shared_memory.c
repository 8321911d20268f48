/* SPDX-License-Identifier: MIT */
/* Handles of named shared memory. What a handle says after it was made is constant, but for the
 * base, which the one close that finds it takes away. */
#include <mproc/shared_memory.h>

#include "base/atomic.h"
#include "base/options.h"
#include "os/shmfile.h"

#include <errno.h>
#include <mproc/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of the made-up names one in four thousand million is taken. */
#define NAMES_MOST 100

struct mp_shared_memory {
    _Atomic uintptr_t base; /* 0: closed */
    size_t length;
    mp__fd_identity identity;
    char name[MP__SHMFILE_NAME_MOST + 1];
};

static bool is_name(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= MP__SHMFILE_NAME_MOST && strchr(name, '/') == NULL &&
           strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static bool is_flag(int value)
{
    return value == 0 || value == MP_YES || value == MP_NO;
}

/* Reads the options; the name comes without its slashes, NULL: to be made up. */
static int read_options(mp_shared_memory_options *o, const mp_shared_memory_options *given)
{
    int rc = mp__options_read(o, sizeof *o, given);
    if (rc < 0)
        return rc;
    if (!is_flag(o->create) || !is_flag(o->sparse))
        return MP_EINVAL;
    bool create = o->create == MP_YES;
    if (create ? o->length == 0 : o->name == NULL || o->sparse == MP_YES)
        return MP_EINVAL;
    if (o->name != NULL) {
        o->name += strspn(o->name, "/");
        if (!is_name(o->name))
            return MP_EINVAL;
    }
    return 0;
}

static int create_named(mp__shmfile *file, mp_shared_memory *m, const mp_shared_memory_options *o)
{
    if (o->name != NULL)
        return mp__shmfile_create(file, m->name, o->length, o->sparse == MP_YES);
    int rc = MP_ESYS(EEXIST);
    for (int i = 0; i < NAMES_MOST && rc == MP_ESYS(EEXIST); i++) {
        unsigned char bytes[4];
        rc = mp__shmfile_random(bytes, sizeof bytes);
        if (rc < 0)
            return rc;
        snprintf(m->name, sizeof m->name, "psm_%02x%02x%02x%02x", bytes[0], bytes[1], bytes[2],
                 bytes[3]);
        rc = mp__shmfile_create(file, m->name, o->length, o->sparse == MP_YES);
    }
    return rc;
}

int mp_shared_memory_create(mp_shared_memory **out, const mp_shared_memory_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_shared_memory_options o;
    int rc = read_options(&o, options);
    if (rc < 0)
        return rc;
    mp_shared_memory *m = calloc(1, sizeof *m);
    if (m == NULL)
        return MP_ENOMEM;
    if (o.name != NULL)
        snprintf(m->name, sizeof m->name, "%s", o.name);
    mp__shmfile file;
    rc = o.create == MP_YES ? create_named(&file, m, &o)
                            : mp__shmfile_attach(&file, m->name, o.length);
    if (rc < 0) {
        free(m);
        return rc;
    }
    m->length = file.length;
    m->identity = file.identity;
    mp__store_relaxed(&m->base, (uintptr_t)file.base);
    *out = m;
    return 0;
}

void *mp_shared_memory_buffer(const mp_shared_memory *memory)
{
    return memory == NULL ? NULL : (void *)mp__load_relaxed(&memory->base);
}

size_t mp_shared_memory_length(const mp_shared_memory *memory)
{
    return memory == NULL ? 0 : memory->length;
}

const char *mp_shared_memory_name(const mp_shared_memory *memory)
{
    return memory == NULL ? NULL : memory->name;
}

int mp_shared_memory_check(const mp_shared_memory *memory)
{
    if (memory == NULL)
        return MP_EINVAL;
    const void *base = mp_shared_memory_buffer(memory);
    return base == NULL ? MP_ECLOSED : mp__shmfile_probe(base, memory->length);
}

int mp_shared_memory_close(mp_shared_memory *memory)
{
    if (memory == NULL)
        return MP_EINVAL;
    uintptr_t base = mp__exchange_seq(&memory->base, 0); /* of two closes one unmaps */
    if (base != 0)
        mp__shmfile_unmap((void *)base, memory->length);
    return 0;
}

int mp_shared_memory_unlink(mp_shared_memory *memory)
{
    return memory == NULL ? MP_EINVAL : mp__shmfile_unlink(memory->name, &memory->identity);
}

void mp_shared_memory_free(mp_shared_memory *memory)
{
    if (memory == NULL)
        return;
    mp_shared_memory_close(memory);
    free(memory);
}
