/* SPDX-License-Identifier: MIT */
/*
 * Why it is right. (The owned kind is in sync/permits.c.)
 *
 * A plain semaphore is one word: 31 bits of value, and a bit that somebody may sleep. Each change
 * is one compare-and-swap, so a death at any point has done it or has not.
 *
 * It is the mutex's protocol (os/mutex.c) for more than one:
 * - A sleeper sets the bit while the value is 0, and sleeps on exactly that word.
 * - Release adds, clears the bit, and if it was set wakes as many as it has released. It does not
 *   touch the word after that: who got the permit may have freed the semaphore.
 * - Who has armed takes a permit with the bit set, for others may sleep still; and if it leaves
 *   permits, of a release that saw no bit, it wakes as many. Who finds none sets the bit before it
 *   sleeps on, and also before it gives up.
 * So whenever there is a permit while somebody sleeps, one who will see to it is on its way: a
 * release before its wake, or a waiter that was woken and has not looked yet. If it dies or is
 * stopped just there, the sleepers look again within 100 ms. Else a sleeper that dies or is stopped
 * is none of those who are woken: the kernel takes both out of its queue.
 */
#include <mproc/semaphore.h>

#include "base/bits.h"
#include "base/options.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/step.h"
#include "sync/permits.h"
#include "sync/waitword.h"

#include <limits.h>
#include <mproc/error.h>
#include <mproc/shared.h>
#include <string.h>

#define PLAIN_MAGIC 0x73656d61u
#define OWNED_MAGIC 0x73656d6fu

#define ASLEEP 0x80000000u /* somebody may sleep */
#define VALUE  0x7fffffffu

typedef struct semaphore_body {
    _Atomic uint32_t word;
    _Atomic uint32_t magic;
    uint32_t bound;
    uint32_t unused;
    mp__permits permits; /* of the owned kind alone */
} semaphore_body;

_Static_assert(sizeof(semaphore_body) <= sizeof(mp_semaphore), "mp_semaphore has room");
_Static_assert(_Alignof(semaphore_body) <= _Alignof(mp_semaphore), "mp_semaphore is aligned");

static semaphore_body *as_body(const mp_semaphore *semaphore)
{
    return (semaphore_body *)(void *)(uintptr_t)semaphore;
}

static bool is_plain(const semaphore_body *b)
{
    return b != NULL && mp__load_relaxed(&b->magic) == PLAIN_MAGIC;
}

static bool is_owned(const semaphore_body *b)
{
    return b != NULL && mp__load_relaxed(&b->magic) == OWNED_MAGIC;
}

/* Takes a permit if there is one. Pairs with the release in add(). */
static bool take(semaphore_body *b)
{
    uint32_t word = mp__load_relaxed(&b->word);
    while ((word & VALUE) != 0)
        if (mp__cas_acquire(&b->word, &word, word - 1)) {
            MP_STEP("semaphore.acquire.taken");
            return true;
        }
    return false;
}

/* Takes a permit, or sets the bit. Returns whether it took one. */
static bool take_or_arm(semaphore_body *b)
{
    uint32_t word = mp__load_relaxed(&b->word);
    for (;;) {
        uint32_t next = (word & VALUE) != 0 ? (word - 1) | ASLEEP : ASLEEP;
        if (word == next)
            return false;
        if (!mp__cas_acquire(&b->word, &word, next)) /* pairs with add() */
            continue;
        if ((word & VALUE) == 0) {
            MP_STEP("semaphore.acquire.armed");
            return false;
        }
        MP_STEP("semaphore.acquire.taken_late");
        if ((next & VALUE) != 0)
            mp__futex_wake(&b->word, (int)(next & VALUE));
        MP_STEP("semaphore.acquire.passed_on");
        return true;
    }
}

static bool has_permits(void *arg)
{
    const semaphore_body *b = arg;
    return (mp__load_relaxed(&b->word) & VALUE) != 0;
}

static int wait_and_take(semaphore_body *b, double timeout)
{
    mp__deadline until;
    mp__deadline_in(timeout, &until);
    mp__spin_until(has_permits, b);
    if (take(b))
        return 0;
    while (!take_or_arm(b)) {
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        if (mp__interrupted())
            return MP_EINTR;
        mp__sleep(&b->word, ASLEEP, mp__deadline_look_again(until));
        MP_STEP("semaphore.acquire.woken");
    }
    return 0;
}

int mp_semaphore_acquire(mp_semaphore *semaphore, double timeout)
{
    semaphore_body *b = as_body(semaphore);
    bool plain = is_plain(b);
    if ((!plain && !is_owned(b)) || timeout != timeout)
        return MP_EINVAL;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    if (!plain)
        return mp__permits_acquire(&b->permits, timeout);
    if (take(b))
        return 0;
    return timeout > 0 ? wait_and_take(b, timeout) : MP_ETIMEDOUT;
}

/* Adds permits, and publishes what the caller did before: pairs with take() and take_or_arm(). */
static int add(semaphore_body *b, uint32_t n)
{
    uint32_t word = mp__load_relaxed(&b->word);
    do {
        if (n > b->bound - (word & VALUE))
            return MP_ESTATE;
    } while (!mp__cas_release(&b->word, &word, (word & VALUE) + n));
    MP_STEP("semaphore.release.added");
    if (word & ASLEEP)
        mp__futex_wake(&b->word, (int)n);
    MP_STEP("semaphore.release.woken");
    return 0;
}

int mp_semaphore_release(mp_semaphore *semaphore, int n)
{
    semaphore_body *b = as_body(semaphore);
    if (n < 1)
        return MP_EINVAL;
    if (is_plain(b))
        return add(b, (uint32_t)n);
    return is_owned(b) ? mp__permits_release(&b->permits, (uint32_t)n) : MP_EINVAL;
}

int mp_semaphore_value(const mp_semaphore *semaphore)
{
    semaphore_body *b = as_body(semaphore);
    if (is_plain(b))
        return (int)(mp__load_relaxed(&b->word) & VALUE);
    return is_owned(b) ? mp__permits_value(&b->permits) : MP_EINVAL;
}

static int read_options(mp_semaphore_options *o, int value, const mp_semaphore_options *options)
{
    int rc = mp__options_read(o, sizeof *o, options);
    if (rc < 0)
        return rc;
    if (o->owned != 0 && o->owned != MP_YES && o->owned != MP_NO)
        return MP_EINVAL;
    if (o->bound == 0)
        o->bound = INT_MAX;
    return value < 0 || o->bound < value ? MP_EINVAL : 0;
}

int mp_semaphore_init(mp_semaphore *semaphore, int value, const mp_semaphore_options *options)
{
    mp_semaphore_options o;
    if (semaphore == NULL || !mp__is_aligned(semaphore, _Alignof(mp_semaphore)))
        return MP_EINVAL;
    int rc = read_options(&o, value, options);
    if (rc == 0)
        rc = mp_init();
    if (rc < 0)
        return rc;
    semaphore_body *b = as_body(semaphore);
    memset(semaphore, 0, sizeof *semaphore);
    mp__store_relaxed(&b->word, (uint32_t)value);
    b->bound = (uint32_t)o.bound;
    if (o.owned == MP_YES)
        rc = mp__permits_init(&b->permits, (uint32_t)value);
    if (rc == 0)
        mp__store_release(&b->magic, o.owned == MP_YES ? OWNED_MAGIC : PLAIN_MAGIC);
    return rc;
}

int mp_semaphore_fini(mp_semaphore *semaphore)
{
    semaphore_body *b = as_body(semaphore);
    bool owned = is_owned(b);
    if (!owned && !is_plain(b))
        return MP_EINVAL;
    mp__store_relaxed(&b->magic, 0);
    if (owned)
        mp__permits_fini(&b->permits);
    return 0;
}

int mp_semaphore_create(mp_semaphore **out, int value, const mp_semaphore_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_semaphore_options o;
    int rc = read_options(&o, value, options);
    if (rc < 0)
        return rc;
    mp_semaphore *semaphore = mp_shared_alloc(sizeof *semaphore);
    if (semaphore == NULL)
        return mp_shared_error();
    rc = mp_semaphore_init(semaphore, value, options);
    if (rc < 0) {
        mp_shared_free(semaphore);
        return rc;
    }
    *out = semaphore;
    return 0;
}

void mp_semaphore_free(mp_semaphore *semaphore)
{
    if (mp_semaphore_fini(semaphore) == 0)
        mp_shared_free(semaphore);
}
