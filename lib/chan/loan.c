/* SPDX-License-Identifier: MIT */
/*
 * Messages that are not copied: blocks of shared memory, passed from hand to hand. What a process
 * has of them stands in its thread's holds; chan/lease.c tells why a death frees it once.
 *
 * A loan is LOAN; while it is published LOAN and RETURNED, so that nobody else publishes or
 * discards it; in the ring it is in no hold. A message that was taken is USED, and in a queue that
 * redelivers LEASED.
 */
#include "chan/queue.h"
#include "os/step.h"

#include <mproc/error.h>
#include <mproc/shared.h>

#define PUBLISHING (MP__HOLD_LOAN | MP__HOLD_RETURNED)

static mp__ring_block *block_of(const void *data)
{
    return (mp__ring_block *)((uintptr_t)data - offsetof(mp__ring_block, data));
}

/* A free hold of the calling thread. Returns 0 or a code. */
static int new_hold(mp_queue *q, mp__patience *p, mp__hold **out)
{
    const mp__thread_seat *known = mp__thread_seat_of(q);
    mp__seat *s = known->seat;
    int rc = known->queue == q && known->serial == q->books.serial ? 0 : mp__lease_sit(q, p, &s);
    if (rc < 0)
        return rc;
    *out = mp__hold_new(s);
    return *out == NULL ? MP_ENOMEM : 0;
}

/* A block for so many bytes, in a hold that is free. Returns 0 or MP_ENOMEM. */
static int new_block(mp__hold *h, size_t length, uint32_t bits, mp__ring_block **out)
{
    mp__ring_block *block = length > SIZE_MAX / 2 ? NULL : mp_shared_alloc(sizeof *block + length);
    if (block == NULL)
        return MP_ENOMEM;
    MP_STEP("loan.new.allocated");
    block->length = length;
    mp__store_relaxed(&block->holder, (uintptr_t)h);
    h->noted = UINT64_MAX;
    mp__store_release(&h->word, mp__hold_word(block, bits));
    MP_STEP("loan.new.held");
    *out = block;
    return 0;
}

int mp_queue_loan(mp_queue *q, size_t length, void **block, double timeout)
{
    if (block == NULL)
        return MP_EINVAL;
    *block = NULL;
    if (!mp__queue_is(q))
        return MP_EINVAL;
    mp__patience p;
    mp__hold *h;
    mp__ring_block *b;
    int rc = mp__patience_begin(&p, timeout);
    if (rc == 0)
        rc = new_hold(q, &p, &h);
    if (rc == 0)
        rc = new_block(h, length, MP__HOLD_LOAN, &b);
    if (rc == 0)
        *block = b->data;
    return rc;
}

int mp_queue_publish(mp_queue *q, void *block, double timeout)
{
    mp__patience p;
    if (!mp__queue_is(q) || block == NULL)
        return MP_EINVAL;
    int rc = mp__patience_begin(&p, timeout);
    if (rc < 0)
        return rc;
    mp__ring_block *b = block_of(block);
    uint64_t loan = mp__hold_word(b, MP__HOLD_LOAN);
    p.loan = mp__hold_find(q, b, MP__HOLD_LOAN);
    if (p.loan == NULL || !mp__cas_seq(&p.loan->word, &loan, mp__hold_word(b, PUBLISHING)))
        return MP_EINVAL;
    MP_STEP("loan.publish.claimed");
    rc = mp__queue_put_block(q, b, &p);
    if (rc < 0)
        mp__store_release(&p.loan->word, mp__hold_word(b, MP__HOLD_LOAN));
    return rc;
}

int mp_queue_discard(mp_queue *q, void *block)
{
    if (!mp__queue_is(q) || block == NULL)
        return MP_EINVAL;
    mp__ring_block *b = block_of(block);
    mp__hold *h = mp__hold_find(q, b, MP__HOLD_LOAN);
    uint64_t loan = mp__hold_word(b, MP__HOLD_LOAN);
    if (h == NULL || !mp__cas_seq(&h->word, &loan, 0))
        return MP_EINVAL;
    MP_STEP("loan.discard.dropped");
    mp_shared_free(b);
    return 0;
}

/* Takes one that lies in the ring, `length` bytes long or less, into a block of our own. */
static int take_copy(mp_queue *q, mp__hold *h, mp__place *to, mp__patience *p)
{
    mp__ring_block *b;
    int rc = new_block(h, to->length, MP__HOLD_LOAN, &b);
    if (rc < 0)
        return rc;
    mp__hold *other; /* it may be another message by now, in a block */
    rc = new_hold(q, p, &other);
    *to = (mp__place){b->data, 0, b->length, 0, other, false};
    if (rc == 0)
        rc = mp__queue_get_in_time(q, to, p);
    if (rc < 0 || to->is_block) {
        mp__hold_drop(h, b, MP__HOLD_LOAN);
        return rc;
    }
    b->length = to->length;
    mp__store_release(&h->word, mp__hold_word(b, MP__HOLD_USED));
    MP_STEP("loan.take.copied");
    return 0;
}

int mp_queue_take(mp_queue *q, const void **message, size_t *length, double timeout)
{
    if (message == NULL || length == NULL)
        return MP_EINVAL;
    *message = NULL;
    *length = 0;
    mp__patience p;
    mp__hold *h;
    int rc = mp__queue_is(q) ? mp__patience_begin(&p, timeout) : MP_EINVAL;
    if (rc < 0)
        return rc;
    rc = new_hold(q, &p, &h);
    if (rc < 0)
        return rc;
    mp__place to = {NULL, 1, 0, 0, h, false}; /* none but one in a block: it tells the length */
    rc = mp__queue_get_in_time(q, &to, &p);
    while (rc == MP_EMSGSIZE)
        rc = take_copy(q, h, &to, &p);
    if (rc < 0)
        return rc;
    mp__hold *at = to.is_block ? to.block : h;
    *message = mp__hold_block(mp__load_relaxed(&at->word))->data;
    *length = to.length;
    return 0;
}

int mp_queue_release(mp_queue *q, const void *message)
{
    if (!mp__queue_is(q) || message == NULL)
        return MP_EINVAL;
    mp__ring_block *b = block_of(message);
    mp__hold *h = mp__hold_find(q, b, MP__HOLD_USED);
    return h != NULL && mp__hold_drop(h, b, MP__HOLD_USED) ? 0 : MP_EINVAL;
}
