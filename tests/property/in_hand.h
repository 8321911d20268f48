/* SPDX-License-Identifier: MIT */
/* Steps of a random history that leave something in hand: loans, takes, and tasks. */
#ifndef MPROC_TESTS_IN_HAND_H
#define MPROC_TESTS_IN_HAND_H

#include "property/random.h"

#include <math.h>

static held drop_held(held *from, uint32_t *count, uint32_t i)
{
    held x = from[i];
    from[i] = from[--*count];
    free(x.bytes);
    return x;
}

static void step_loan(history *h)
{
    void *block = h;
    size_t length = any_length(h);
    int rc = mp_queue_loan(h->q, length, &block, any_timeout(h));
    trail(h, "loan %zu: %d", length, rc);
    EXPECT(h, (block == NULL) == (rc != 0));
    EXPECT(h, rc == 0 || (h->scarce && rc == MP_ENOMEM));
    if (rc != 0)
        return;
    EXPECT(h, (uintptr_t)block % 16 == 0);
    held x = {block, length, malloc(length + 1)};
    if (length > 0) {
        memcpy(x.bytes, any_bytes(h, length), length);
        memcpy(block, x.bytes, length);
    }
    h->loan[h->loans++] = x;
}

/* Publishes or discards one; a second time that is an error. */
static void step_loan_ends(history *h)
{
    uint32_t i = below(h, h->loans);
    held x = h->loan[i];
    if (below(h, 4) == 0) {
        trail(h, "discard");
        EXPECT(h, mp_queue_discard(h->q, x.block) == 0);
        EXPECT(h, mp_queue_discard(h->q, x.block) == MP_EINVAL);
        drop_held(h->loan, &h->loans, i);
        return;
    }
    int expected = model_may_put(&h->m, x.length);
    int rc = mp_queue_publish(h->q, x.block, timeout_for(h, expected));
    trail(h, "publish %zu: %d, expected %d", x.length, rc, expected);
    if (rc == MP_ENOMEM && h->scarce)
        return;
    EXPECT(h, rc == expected || (expected == MP_EMSGSIZE && h->m.closed && rc == MP_ECLOSED));
    if (rc != 0)
        return;
    model_put(&h->m, x.bytes, x.length);
    drop_held(h->loan, &h->loans, i);
    EXPECT(h, mp_queue_publish(h->q, x.block, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_discard(h->q, x.block) == MP_EINVAL);
    EXPECT(h, mp_queue_release(h->q, x.block) == MP_EINVAL);
}

static void step_take(history *h)
{
    const void *message = h;
    size_t length = 12345;
    ssize_t expected = model_may_get(&h->m, SIZE_MAX);
    int rc = mp_queue_take(h->q, &message, &length, timeout_for(h, expected));
    trail(h, "take: %d, %zu, expected %zd", rc, length, expected);
    EXPECT(h, (message != NULL) == (rc == 0) && (rc == 0 || length == 0));
    if (rc == MP_ENOMEM && h->scarce)
        return;
    EXPECT(h, rc == (expected < 0 ? (int)expected : 0));
    if (rc != 0)
        return;
    held x = {(void *)(uintptr_t)message, length, malloc(length + 1)};
    memcpy(x.bytes, message, length);
    EXPECT(h, model_get(&h->m, message, length));
    h->taken[h->takes++] = x;
}

/* What was taken is there, unchanged, until then. */
static void step_release(history *h)
{
    uint32_t i = below(h, h->takes);
    held x = h->taken[i];
    trail(h, "release %zu", x.length);
    EXPECT(h, memcmp(x.bytes, x.block, x.length) == 0);
    EXPECT(h, mp_queue_discard(h->q, x.block) == MP_EINVAL);
    EXPECT(h, mp_queue_publish(h->q, x.block, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_release(h->q, x.block) == 0);
    drop_held(h->taken, &h->takes, i);
    EXPECT(h, mp_queue_release(h->q, x.block) == MP_EINVAL);
}

static void step_task_done(history *h)
{
    int expected = h->m.gets > h->m.done ? 0 : MP_ESTATE;
    int rc = mp_queue_task_done(h->q);
    trail(h, "task_done: %d, expected %d", rc, expected);
    EXPECT(h, rc == expected);
    h->m.done += rc == 0;
}

static void step_join(history *h)
{
    bool finished = h->m.puts == h->m.done;
    int rc = mp_queue_join(h->q, finished ? any_timeout(h) : vain_timeout(h));
    trail(h, "join: %d", rc);
    EXPECT(h, rc == (finished ? 0 : MP_ETIMEDOUT));
    EXPECT(h, mp_queue_lost(h->q) == 0);
}

/* Loans, takes and tasks. */
static void step_in_hand(history *h, bool puts)
{
    if (puts && h->loans < HELD && below(h, 2))
        step_loan(h);
    else if (puts && h->loans > 0)
        step_loan_ends(h);
    else if (h->takes < HELD && below(h, 2))
        step_take(h);
    else if (h->takes > 0)
        step_release(h);
    else
        step_join(h);
}

/* Pointers that are none of ours: nothing comes of them. */
static void step_wrong_block(history *h)
{
    _Alignas(16) unsigned char here[64];
    void *wrong[] = {NULL,
                     here,
                     here + 16,
                     h->q,
                     (char *)h->q + 64,
                     (void *)(uintptr_t)16,
                     source,
                     (void *)(uintptr_t)-16};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        EXPECT(h, mp_queue_publish(h->q, wrong[i], any_timeout(h)) == MP_EINVAL);
        EXPECT(h, mp_queue_discard(h->q, wrong[i]) == MP_EINVAL);
        EXPECT(h, mp_queue_release(h->q, wrong[i]) == MP_EINVAL);
    }
    for (uint32_t i = 0; i < h->loans; i++) {
        EXPECT(h, mp_queue_release(h->q, h->loan[i].block) == MP_EINVAL);
        if (h->loan[i].length >= 32) /* else it may be the next one's */
            EXPECT(h, mp_queue_discard(h->q, (char *)h->loan[i].block + 16) == MP_EINVAL);
        EXPECT(h, mp_queue_publish(h->q, h->loan[i].block, NAN) == MP_EINVAL);
    }
    EXPECT(h, mp_queue_loan(h->q, 1, NULL, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_join(h->q, NAN) == MP_EINVAL);
}

#endif
