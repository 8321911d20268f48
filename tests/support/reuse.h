/* SPDX-License-Identifier: MIT */
/* Memory of a queue that was freed, in use for something else: nobody writes there any more. */
#ifndef MPROC_TESTS_REUSE_H
#define MPROC_TESTS_REUSE_H

#include "chan/queue.h"

#include <mproc/shared.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { REUSE_FILL = 0xa5 };

/* As a rule what was freed last is had first. */
static inline unsigned char *reuse_begin(void)
{
    unsigned char *p = mp_shared_alloc(sizeof(mp_queue));
    assert_non_null(p);
    memset(p, REUSE_FILL, sizeof(mp_queue));
    return p;
}

static inline void reuse_end(unsigned char *p)
{
    for (size_t i = 0; i < sizeof(mp_queue); i++)
        assert_int_equal(p[i], REUSE_FILL);
    mp_shared_free(p);
}

#endif
