/* SPDX-License-Identifier: MIT */
/* What tests of pains share: each prints one line on what this library does, which stands beside
 * Python's in docs/pains.md. */
#ifndef MPROC_TESTS_PAIN_H
#define MPROC_TESTS_PAIN_H

#include "support/shared.h"

#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* For the table: the pain, and what was just seen (the asserts have passed). */
#define ours(pain, ...)                                                                            \
    do {                                                                                           \
        printf("pain\t" pain "\t");                                                                \
        printf(__VA_ARGS__);                                                                       \
        printf("\n");                                                                              \
        fflush(stdout);                                                                            \
    } while (0)

/* Two words that the test and its children share, zero at the start of each test. */
typedef struct desk {
    word ready, done;
} desk;
static desk *notes;

static inline int desk_setup(void **state)
{
    (void)state;
    if (notes == NULL)
        notes = common(sizeof *notes);
    if (notes == NULL || mp_init() < 0)
        return -1;
    memset(notes, 0, sizeof *notes);
    return 0;
}

#endif
