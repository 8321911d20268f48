/* SPDX-License-Identifier: MIT */
/*
 * Why no callback is missed. Workers take works in the order of their submission, and have one
 * each. So of the watched results of a pool, only the oldest can be done or running: as many as
 * there are slots, before whatever else is done. A look at those from the front of the list until
 * so many are found open, and a sleep on the words of those, are enough; what the program ends by
 * itself, out of that order, it says with mp__callback_ended().
 *
 * Why no callback runs twice, or beside another one of the same result: whoever runs it has taken
 * it off the result's list, and the result off all lists, with the guard held; and has marked it
 * RUNNING, in which state nobody lists it. The guard is not held while it runs. A callback may do
 * anything with the library, freeing its result included: whoever runs it holds that. It does not
 * start another one in the same thread, so that no number of due callbacks makes a deep stack.
 */
#include "pool/callback.h"

#include "os/atfork.h"
#include "os/clock.h"
#include "pool/handle.h"
#include "pool/outcome.h"
#include "pool/then.h"
#include "proc/registry.h"

#include <mproc/error.h>
#include <stdlib.h>

#define SLACK 4 /* works that a slot is just about to leave */

static mp__guard guard = MP__GUARD_INITIALIZER;
static mp__link pools = MP__LIST(pools); /* with watched results */
static mp__link fresh = MP__LIST(fresh); /* found done; chained work not yet started */
static mp__link due = MP__LIST(due);     /* with callbacks to run */
static uint64_t turns;
static mp__waitword news; /* something has become due, or has run: for this process's sleepers */
static _Thread_local int depth; /* whether this thread is in a callback, or wants none */
_Atomic uint64_t mp__callback_count;

void mp__callback_lock(void)
{
    mp__guard_lock(&guard);
}

void mp__callback_unlock(void)
{
    mp__guard_unlock(&guard);
}

/* A forked child has none. */
static void forget_all(void)
{
    mp__list_init(&pools);
    mp__list_init(&fresh);
    mp__list_init(&due);
    mp__store_relaxed(&mp__callback_count, 0);
    depth = 0;
    mp__guard_unlock(&guard);
}

int mp__callback_init(void)
{
    static mp__atfork part = {
        .prepare = mp__callback_lock, .parent = mp__callback_unlock, .child = forget_all};
    return mp__atfork_add(&part);
}

void mp__callback_init_pool(mp__callbacks_of_pool *p)
{
    mp__list_init(&p->watched);
    mp__list_init(&p->link);
    mp__list_init(&p->iterators);
}

static mp_result *result_of(mp__link *link)
{
    return mp__container(link, mp_result, callbacks.link);
}

/* ---- where a result stands; with the guard held ---- */

static enum mp__callback_state state_of(const mp_result *r)
{
    return (enum mp__callback_state)mp__load_relaxed(&r->callbacks.state);
}

static void set_state(mp_result *r, enum mp__callback_state state)
{
    enum mp__callback_state before = state_of(r);
    if (before == MP__CALLBACK_WATCHED || before == MP__CALLBACK_DUE)
        mp__list_remove(&r->callbacks.link);
    mp__store_relaxed(&r->callbacks.state, (uint32_t)state);
    if ((before == MP__CALLBACK_NONE) == (state == MP__CALLBACK_NONE))
        return;
    bool more = before == MP__CALLBACK_NONE;
    uint64_t step = more ? 1 : UINT64_MAX;
    mp__add_relaxed(&mp__callback_count, step);
    if (r->pool != NULL)
        r->pool->callbacks.pending += step;
}

static void list(mp__link *head, mp_result *r, enum mp__callback_state state)
{
    set_state(r, state);
    mp__list_append(head, &r->callbacks.link);
}

/* The program has ended it, or tried to: it may end before those that are older. */
static bool ends_early(const mp_result *r)
{
    return mp__load_relaxed(&r->canceled) || mp__load_relaxed(&r->work->killed) != 0;
}

/* Whether it goes before the first one. That may stand there out of its order. */
static bool goes_first(const mp_result *r, const mp_result *first)
{
    return ends_early(r) || (!ends_early(first) && first->work->order > r->work->order);
}

/* Behind those that were submitted before. */
static void watch(mp_result *r)
{
    mp__callbacks_of_pool *p = &r->pool->callbacks;
    mp__link *at = &p->watched; /* it goes before this */
    if (mp__list_empty(&p->watched)) {
        mp__list_remove(&p->link);
        mp__list_append(&pools, &p->link);
    } else if (goes_first(r, result_of(p->watched.next))) {
        at = p->watched.next;
    }
    while (at->prev != &p->watched && result_of(at->prev)->work->order > r->work->order)
        at = at->prev;
    set_state(r, MP__CALLBACK_WATCHED);
    mp__list_append(at, &r->callbacks.link);
}

static void place(mp_result *r)
{
    if (mp__load_relaxed(&r->callbacks.waiting))
        set_state(r, MP__CALLBACK_HELD);
    else if (mp__work_is_done(r->work))
        list(&fresh, r, MP__CALLBACK_DUE);
    else
        watch(r);
}

static void tell(void)
{
    mp__waitword_wake(&news, MP__WAKE_ALL);
}

/* ---- finding what is due; with the guard held ---- */

/* How many of a pool's watched results can be running. */
static uint32_t most_open(const mp_pool *pool)
{
    return mp__load_acquire(&pool->control->used) + SLACK;
}

static bool collect_done(mp_pool *pool)
{
    uint32_t open = 0, most = most_open(pool);
    mp__list_for_each (link, &pool->callbacks.watched) {
        if (mp__work_is_done(result_of(link)->work))
            list(&fresh, result_of(link), MP__CALLBACK_DUE);
        else if (++open >= most)
            break;
    }
    return open > 0;
}

static void collect(mp_pool *pool)
{
    bool open = collect_done(pool);
    if (open && mp__handle_is_lost(pool) && mp__handle_settle(pool))
        collect_done(pool);
    if (mp__list_empty(&pool->callbacks.watched))
        mp__list_remove(&pool->callbacks.link);
}

/* Started, or ended: it is not unlisted any more if something follows it. */
static void begin_chained(mp_result *r, mp_result *out)
{
    mp__then_start(r, out);
    mp__store_relaxed(&out->callbacks.waiting, false);
    if (state_of(out) == MP__CALLBACK_HELD)
        place(out);
}

/* What waits for a result that is done. Returns how many. */
static int start_chained(mp_result *r)
{
    int started = 0;
    for (mp_result *out; (out = r->callbacks.chained) != NULL; started++) {
        r->callbacks.chained = out->callbacks.sibling;
        begin_chained(r, out);
        mp__result_let_go(out);
    }
    return started;
}

/* Returns how much chained work it has started. */
static int collect_all(void)
{
    int started = 0;
    mp__list_for_each (link, &pools)
        collect(mp__container(link, mp_pool, callbacks.link));
    while (!mp__list_empty(&fresh)) {
        mp_result *r = result_of(fresh.next);
        int n = start_chained(r);
        started += n;
        if (r->callbacks.first != NULL)
            list(&due, r, MP__CALLBACK_DUE);
        else
            set_state(r, MP__CALLBACK_NONE);
        if (n > 0)
            mp__result_let_go(r); /* held since the first was chained */
    }
    return started;
}

/* ---- running ---- */

static mp_result *next_due(uint64_t turn)
{
    mp__list_for_each (link, &due)
        if (result_of(link)->callbacks.first->turn < turn)
            return result_of(link);
    return NULL;
}

static mp__callback *take_first(mp_result *r)
{
    mp__callback *c = r->callbacks.first;
    r->callbacks.first = c->next;
    if (c->next == NULL)
        r->callbacks.end = NULL;
    return c;
}

/* With the guard held, which it gives up meanwhile. False: the process is another one. */
static bool run_one(mp_result *r)
{
    mp__callback *c = take_first(r), it = *c;
    set_state(r, MP__CALLBACK_RUNNING);
    mp__result_hold(r);
    mp__callback_unlock();
    if (c != &r->callbacks.own)
        free(c);
    int before = mp__callback_suspend();
    mp__result_finish(r);
    it.run(r, it.arg);
    mp__callback_resume(before);
    mp__callback_lock();
    if (r->generation != mp__registry_generation())
        return false; /* a child that the callback has forked, and that came back here */
    if (r->callbacks.first != NULL) {
        set_state(r, MP__CALLBACK_DUE);
        mp__list_append(due.next, &r->callbacks.link); /* before all others */
    } else {
        set_state(r, MP__CALLBACK_NONE);
    }
    tell(); /* also what was added meanwhile, for this thread may be on its way back */
    mp__result_let_go(r);
    return true;
}

int mp__callback_run(void)
{
    if (!mp__callback_any())
        return 0;
    mp__callback_lock();
    uint64_t turn = ++turns;
    int ran = collect_all();
    for (mp_result *r; depth == 0 && (r = next_due(turn)) != NULL; ran++)
        if (!run_one(r))
            break;
    mp__callback_unlock();
    return ran;
}

int mp__callback_suspend(void)
{
    int before = depth;
    depth = 1;
    return before;
}

bool mp__callback_is_suspended(void)
{
    return depth != 0;
}

void mp__callback_resume(int before)
{
    depth = before;
}

/* ---- waiting for more ---- */

static bool anything_due(void)
{
    return !mp__list_empty(&fresh) || (depth == 0 && !mp__list_empty(&due));
}

/* Adds those of a pool that can end next, and its supervisor. Returns how many, or -1. */
static int watch_pool(mp_pool *pool, mp__watch *watches, int room, mp__deadline *until)
{
    _Atomic uint32_t *life = &pool->control->supervisor.word;
    uint32_t alive = mp__load_acquire(life), open = 0;
    int n = 0;
    if (mp__robust_abandoned(alive)) /* its last workers are dying */
        *until = mp__deadline_min(*until, mp__deadline_in_ns(MP__NS_PER_MS));
    if (mp__robust_abandoned(alive) || room < 1)
        return 0;
    watches[n++] = (mp__watch){life, alive};
    mp__list_for_each (link, &pool->callbacks.watched) {
        mp__work *w = result_of(link)->work;
        if (n == room || open++ >= most_open(pool))
            break;
        watches[n++] = (mp__watch){&w->done.word, mp__waitword_arm(&w->done)};
        if (mp__work_is_done(w))
            return -1;
    }
    return n;
}

bool mp__callback_watch_first(mp__watch *watch)
{
    *watch = (mp__watch){&news.word, mp__waitword_arm(&news)};
    return !mp__callback_any(); /* counted before it is told */
}

int mp__callback_watch(mp__watch *watches, int room, mp__deadline *until)
{
    int n = 0;
    mp__callback_lock();
    watches[n++] = (mp__watch){&news.word, mp__waitword_arm(&news)};
    if (anything_due())
        n = -1;
    mp__list_for_each (link, &pools) {
        if (n < 0)
            break;
        mp_pool *pool = mp__container(link, mp_pool, callbacks.link);
        int more = watch_pool(pool, &watches[n], room - n, until);
        n = more < 0 ? -1 : n + more;
    }
    mp__callback_unlock();
    return n;
}

static int hold_of(mp_pool *pool, mp_result **held, int room)
{
    int n = 0;
    mp__list_for_each (link, &pool->callbacks.watched) {
        if (n == room || (uint32_t)n >= most_open(pool))
            break;
        mp__result_hold(result_of(link));
        held[n++] = result_of(link);
    }
    return n;
}

int mp__callback_hold(mp_result **held, int room)
{
    int n = 0;
    mp__callback_lock();
    if (anything_due())
        n = -1;
    else
        mp__list_for_each (link, &pools)
            n += hold_of(mp__container(link, mp_pool, callbacks.link), &held[n], room - n);
    mp__callback_unlock();
    return n;
}

uint64_t mp__callback_pending(const mp_pool *pool)
{
    mp__callback_lock();
    uint64_t pending = pool->callbacks.pending;
    mp__callback_unlock();
    return pending;
}

/* ---- what changes ---- */

void mp__callback_add(mp_result *r, mp__callback *c)
{
    mp__callbacks_of_result *of = &r->callbacks;
    mp__callback_lock();
    c->turn = turns;
    c->next = NULL;
    if (of->end == NULL)
        of->end = &of->first;
    *of->end = c;
    of->end = &c->next;
    if (state_of(r) == MP__CALLBACK_NONE)
        place(r);
    mp__callback_unlock();
    tell();
}

void mp__callback_chain(mp_result *r, mp_result *out)
{
    mp__callback_lock();
    if (mp__work_is_done(r->work) && !mp__load_relaxed(&r->callbacks.waiting)) {
        begin_chained(r, out);
    } else {
        mp__result_hold(out);
        if (r->callbacks.chained == NULL)
            mp__result_hold(r);
        mp_result **at = &r->callbacks.chained;
        while (*at != NULL)
            at = &(*at)->callbacks.sibling;
        *at = out;
        if (state_of(r) == MP__CALLBACK_NONE)
            place(r);
    }
    mp__callback_unlock();
    tell();
}

bool mp__callback_cancel(mp_result *r, const char *text)
{
    mp__callback_lock();
    bool waiting = mp__load_relaxed(&r->callbacks.waiting);
    if (waiting) {
        mp__then_end(r, &(mp__verdict){.code = MP_ECANCELED, .text = text});
        mp__store_relaxed(&r->callbacks.waiting, false); /* who starts it finds it done */
        if (state_of(r) == MP__CALLBACK_HELD)
            place(r);
    }
    mp__callback_unlock();
    if (waiting)
        tell();
    return waiting;
}

void mp__callback_ended(mp_result *r)
{
    mp__callback_lock(); /* who watches it from now on sees how it ends */
    if (state_of(r) == MP__CALLBACK_WATCHED) {
        if (mp__work_is_done(r->work)) {
            list(&fresh, r, MP__CALLBACK_DUE);
        } else { /* a worker that has just looked at it ends it: it is looked at first */
            mp__list_remove(&r->callbacks.link);
            mp__list_append(r->pool->callbacks.watched.next, &r->callbacks.link);
        }
    }
    mp__callback_unlock();
    tell();
}

static void drop_callbacks(mp_result *r)
{
    while (r->callbacks.first != NULL) {
        mp__callback *c = take_first(r);
        if (c != &r->callbacks.own)
            free(c);
    }
}

void mp__callback_drop(mp_result *r)
{
    if (mp__load_relaxed(&r->callbacks.state) == MP__CALLBACK_NONE)
        return;
    mp__callback_lock();
    drop_callbacks(r);
    if (r->callbacks.chained == NULL && state_of(r) != MP__CALLBACK_RUNNING)
        set_state(r, MP__CALLBACK_NONE);
    else if (state_of(r) == MP__CALLBACK_DUE)
        list(&fresh, r, MP__CALLBACK_DUE);
    mp__callback_unlock();
    tell();
}

void mp__callback_forget_pool(mp_pool *pool)
{
    mp__callback_lock();
    collect_done(pool);
    mp__list_for_each (link, &pool->callbacks.watched)
        list(&fresh, result_of(link), MP__CALLBACK_DUE);
    mp__list_remove(&pool->callbacks.link);
    mp__list_for_each (link, &pool->callbacks.iterators)
        mp__list_remove(link);
    mp__list_for_each (link, &pool->results) { /* they keep their works */
        mp__container(link, mp_result, link)->pool = NULL;
        mp__list_remove(link);
    }
    mp__callback_unlock();
    tell();
}
