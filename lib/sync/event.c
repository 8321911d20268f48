/* SPDX-License-Identifier: MIT */
/*
 * Why it is right.
 *
 * An event is one word: bit 0 says that somebody may sleep, bit 1 that it is set, the rest counts
 * how often it became set. A waiter remembers the count: another one means that it was set
 * meanwhile, whatever bit 1 says by now. (2^30 sets and clears between two looks of one waiter
 * would be missed.)
 *
 * A waiter that finds it clear sets bit 0, by a compare-and-swap from a clear word, and sleeps on
 * exactly that word. Becoming set changes the count, so that a sleeper who is late does not sleep.
 * Bit 0 stays until all were woken, and goes only from exactly the word that the setter left:
 * there, nobody can have armed since. So if a setter dies before its wake, the next one, to whom
 * the event may seem set already, sees the bit and wakes in its place; without a next one the
 * sleepers look again within 100 ms. A dead sleeper leaves a bit that costs one wake of nobody.
 *
 * Doorbells (sync/doorbell.h) are rung before the event is set, and again behind it for those who
 * have looked and armed anew in between. So a setter that dies after setting has rung, unless it
 * was overtaken by such a look; then mp_wait(), which looks every 100 ms, finds the event set, but
 * a descriptor of mp_event_fileno() is told by the next one who sets.
 *
 * Setting writes the word also if it is set already. With a mere look, the look could come before
 * the caller's own stores: then one who clears, and after that looks for those, would miss both.
 */
#include <mproc/event.h>

#include "base/bits.h"
#include "base/options.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/interrupt.h"
#include "os/step.h"
#include "sync/event.h"
#include "sync/fileno.h"
#include "sync/waitword.h"

#include <mproc/error.h>
#include <mproc/shared.h>
#include <mproc/wait.h>

#define EVENT_MAGIC 0x65766e74u

#define ASLEEP 1u
#define SET    2u
#define ONCE   4u /* the count's lowest bit */

typedef struct event_body {
    _Atomic uint32_t word;
    _Atomic uint32_t magic;
    mp__doorbells bells;
} event_body;

_Static_assert(sizeof(event_body) <= sizeof(mp_event), "mp_event has room for its body");
_Static_assert(_Alignof(event_body) <= _Alignof(mp_event), "mp_event is aligned for its body");

/* A wait: for the event to be set, or its count to be another. */
typedef struct wish {
    event_body *event;
    uint32_t count;
} wish;

static event_body *body_of(const mp_event *event)
{
    event_body *body = (event_body *)(void *)(uintptr_t)event;
    if (event == NULL || mp__load_relaxed(&body->magic) != EVENT_MAGIC)
        return NULL;
    return body;
}

int mp_event_set(mp_event *event)
{
    event_body *b = body_of(event);
    if (b == NULL)
        return MP_EINVAL;
    if (mp__doorbells_any(&b->bells))
        mp__doorbells_ring(&b->bells);
    uint32_t word = mp__load_relaxed(&b->word);
    uint32_t next;
    do
        next = word & SET ? word : (word | SET) + ONCE;
    while (!mp__cas_seq(&b->word, &word, next)); /* pairs with is_granted() and clear */
    MP_STEP("event.set.set");
    if (next & ASLEEP) {
        mp__futex_wake(&b->word, MP__WAKE_ALL);
        MP_STEP("event.set.woken");
        mp__cas_relaxed(&b->word, &next, next & ~ASLEEP);
        MP_STEP("event.set.disarmed");
    }
    mp__fence_after_change();
    return mp__doorbells_any(&b->bells) ? mp__doorbells_ring(&b->bells) : 0;
}

int mp_event_clear(mp_event *event)
{
    event_body *b = body_of(event);
    if (b == NULL)
        return MP_EINVAL;
    mp__and_seq(&b->word, ~SET); /* pairs with set */
    MP_STEP("event.clear.cleared");
    mp__fileno_settle(&b->bells);
    return 0;
}

static bool is_set(const event_body *b)
{
    return (mp__load_acquire(&b->word) & SET) != 0; /* pairs with set */
}

bool mp_event_is_set(const mp_event *event)
{
    const event_body *b = body_of(event);
    if (b == NULL)
        return false;
    if (is_set(b))
        return true;
    mp__fileno_settle(&b->bells);
    return false;
}

mp__doorbells *mp__event_doorbells(mp_event *event)
{
    event_body *b = body_of(event);
    return b == NULL ? NULL : &b->bells;
}

static bool is_ready(void *body)
{
    return is_set(body);
}

int mp_event_fileno(mp_event *event)
{
    event_body *b = body_of(event);
    if (b == NULL)
        return MP_EINVAL;
    return mp__fileno_create(&(mp__fileno_source){&b->bells, is_ready, b, -1});
}

static bool is_granted(void *arg)
{
    const wish *w = arg;
    uint32_t word = mp__load_acquire(&w->event->word); /* pairs with set */
    return (word & SET) != 0 || word / ONCE != w->count;
}

/* Sleeps once, unless the wish is granted by now. */
static void arm_and_sleep(const wish *w, mp__deadline until)
{
    uint32_t clear = w->count * ONCE; /* with or without a sleeper */
    uint32_t word = clear;
    if (!mp__cas_relaxed(&w->event->word, &word, clear | ASLEEP) && word != (clear | ASLEEP))
        return;
    MP_STEP("event.wait.armed");
    mp__sleep(&w->event->word, clear | ASLEEP, mp__deadline_look_again(until));
    MP_STEP("event.wait.woken");
}

int mp_event_wait(mp_event *event, double timeout)
{
    event_body *b = body_of(event);
    if (b == NULL || timeout != timeout)
        return MP_EINVAL;
    if (timeout > 0 && mp__interrupted())
        return MP_EINTR;
    wish w = {b, mp__load_acquire(&b->word) / ONCE};
    if (is_granted(&w))
        return 0;
    mp__fileno_settle(&b->bells);
    if (timeout <= 0)
        return MP_ETIMEDOUT;
    mp__deadline until;
    mp__deadline_in(timeout, &until);
    if (mp__spin_until(is_granted, &w))
        return 0;
    while (!is_granted(&w)) {
        if (mp__deadline_passed(until))
            return MP_ETIMEDOUT;
        if (mp__interrupted())
            return MP_EINTR;
        arm_and_sleep(&w, until);
    }
    return 0;
}

int mp_event_init(mp_event *event)
{
    if (event == NULL || !mp__is_aligned(event, _Alignof(mp_event)))
        return MP_EINVAL;
    int rc = mp_init();
    if (rc < 0)
        return rc;
    *event = (mp_event){{0}};
    mp__store_release(&((event_body *)(void *)event)->magic, EVENT_MAGIC);
    return 0;
}

int mp_event_fini(mp_event *event)
{
    event_body *b = body_of(event);
    if (b == NULL)
        return MP_EINVAL;
    mp__store_relaxed(&b->magic, 0);
    mp__fileno_forget(&b->bells);
    mp__doorbells_fini(&b->bells);
    return 0;
}

int mp_event_create(mp_event **out, const mp_event_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp_event_options o;
    int rc = mp__options_read(&o, sizeof o, options);
    if (rc < 0)
        return rc;
    mp_event *event = mp_shared_alloc(sizeof *event);
    if (event == NULL)
        return mp_shared_error();
    rc = mp_event_init(event);
    if (rc < 0) {
        mp_shared_free(event);
        return rc;
    }
    *out = event;
    return 0;
}

void mp_event_free(mp_event *event)
{
    if (mp_event_fini(event) == 0)
        mp_shared_free(event);
}
