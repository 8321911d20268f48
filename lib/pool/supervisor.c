/* SPDX-License-Identifier: MIT */
/*
 * Why it is right. The supervisor is single-threaded and sleeps in poll on the bell and on its
 * workers' sentinels (on one of them when all are about to leave); all that it decides is in shared
 * memory or follows from it:
 * - A worker's death shows on its sentinel. Its claim is made definite, the item that it was
 *   running is settled or tried again, and the rest of its range waits in the slot for the next
 *   worker there (pool/claim.h, pool/worker.c).
 * - Which slots shall have a worker follows from control->target, from what waits in them, and from
 *   which are resting. A worker of a slot beyond the target leaves by itself (pool/leaving.h); if
 *   it dies with a claim, another comes for that claim alone.
 * - The program's end, whatever its kind, hangs up the bell: the workers are killed.
 * - The supervisor's own death: the kernel kills the workers (os/lifeline.c). The program's threads
 *   watch its life word, and settle what is left when the workers' life words are over, too
 *   (pool/pool.c). So nothing is settled by two: the supervisor settles while it lives, the program
 *   when nobody else does.
 */
#include "pool/supervisor.h"

#include "os/clock.h"
#include "os/dispositions.h"
#include "os/fd.h"
#include "os/poller.h"
#include "os/servant.h"
#include "os/signals.h"
#include "os/stdio.h"
#include "os/thread.h"
#include "pool/claim.h"
#include "pool/crew.h"
#include "pool/limit.h"
#include "proc/entry.h"

#include <mproc/error.h>
#include <mproc/process.h>
#include <stdio.h>
#include <stdlib.h>

#define START_DEATHS_MOST 3                     /* in a row, before a worker was ever ready */
#define RETRY_NS          (100 * MP__NS_PER_MS) /* between attempts to fork */
#define STARVED_NS        (5 * MP__NS_PER_S)    /* without any worker, before the pool fails */
#define DEATH_NS          (5 * MP__NS_PER_MS)   /* lasting, deaths may come at this distance; */
#define DEATHS_AT_ONCE    100                   /* so many may come at once */

typedef struct supervisor {
    mp__crew crew;
    mp__pool_control *control;
    int bell;
    struct pollfd *polls; /* the bell, then one for each worker */
    unsigned start_deaths;
    int64_t deaths;     /* until when the deaths so far would last, at their lasting distance */
    int64_t retry;      /* when to fork again, having failed or having had too many deaths; or 0 */
    int64_t starved;    /* since when no worker could be forked, and there is none; or 0 */
    bool closing;       /* no work is left, nor will be */
    bool timing;        /* items with a time limit may be running */
    int64_t next_limit; /* then: when one of those may pass */
} supervisor;

static void fail_pool(supervisor *sv, const mp__verdict *why)
{
    mp__pool_blame(sv->control, mp__failure_of(why, 0));
    mp__pool_enter(sv->control, MP__POOL_FAILED);
}

static void fail_unready(supervisor *sv, int exitcode)
{
    char text[160], phrase[32];
    mp__verdict why = {.code = MP_ETASK, .text = text};
    if (exitcode < 0) {
        why.signal = -exitcode;
        snprintf(text, sizeof text,
                 "the workers die before they are ready: the last was killed by %s",
                 mp__signal_phrase(phrase, sizeof phrase, -exitcode));
    } else {
        why.exit_status = exitcode;
        snprintf(text, sizeof text,
                 "the workers die before they are ready: the last ended with exit status %d",
                 exitcode);
    }
    fail_pool(sv, &why);
}

/* A worker that dies is replaced at once, but not if many do: then after a while that lets workers
 * die no faster than the machine bears for ever. */
static void count_death(supervisor *sv)
{
    int64_t now = mp__now();
    sv->deaths = (sv->deaths > now ? sv->deaths : now) + DEATH_NS;
    int64_t debt = sv->deaths - now - DEATHS_AT_ONCE * DEATH_NS;
    if (debt > 0 && sv->retry < now + debt)
        sv->retry = now + debt;
}

static void judge(supervisor *sv, uint32_t slot, enum mp__end end, int exitcode)
{
    switch (end) {
    case MP__END_FAILING:
        mp__pool_enter(sv->control, MP__POOL_FAILED);
        break;
    case MP__END_UNREADY:
        if (++sv->start_deaths >= START_DEATHS_MOST)
            fail_unready(sv, exitcode);
        break;
    case MP__END_DEATH:
        count_death(sv);
        break;
    case MP__END_RESTING:
        sv->crew.places[slot].resting = true;
        mp__add_seq(&sv->control->resting, 1); /* pairs with mp__leaving_any_rest() */
        break;
    case MP__END_ORDERLY:
        break;
    }
}

/* A worker that got ready ends a row of deaths before that. */
static void note_ready(supervisor *sv, uint32_t slot)
{
    mp__place *p = &sv->crew.places[slot];
    if (p->ready || mp__load_acquire(&sv->control->slot[slot].state) < MP__SLOT_READY)
        return;
    p->ready = true;
    sv->start_deaths = 0;
}

/* Buries who has died; returns how many live. */
static uint32_t look_after_workers(supervisor *sv)
{
    uint32_t alive = 0, used = mp__crew_used(&sv->crew);
    for (uint32_t i = 0; i < used; i++) {
        if (sv->crew.places[i].child.pid == 0)
            continue;
        note_ready(sv, i);
        int exitcode = mp__child_reap(&sv->crew.places[i].child);
        if (exitcode == MP_NO_EXITCODE)
            alive++;
        else
            judge(sv, i, mp__crew_bury(&sv->crew, i, exitcode), exitcode);
    }
    return alive;
}

/* Whether a slot shall get a worker now; not `all`: only for what its last one has left. */
static bool is_wanting(const supervisor *sv, uint32_t slot, bool all)
{
    const mp__place *p = &sv->crew.places[slot];
    mp__range left;
    if (p->child.pid != 0)
        return false;
    if (all && slot < mp__load_relaxed(&sv->control->target))
        return !p->resting;
    return mp__claim_get(&sv->control->slot[slot], &left);
}

static void end_rest(supervisor *sv, uint32_t slot)
{
    if (sv->crew.places[slot].resting)
        mp__sub_relaxed(&sv->control->resting, 1);
    sv->crew.places[slot].resting = false;
}

/* Fills the empty places; returns how many workers there are then. If the pool is closed, and there
 * is nothing to claim, a new worker would only leave again. */
static uint32_t fill_up(supervisor *sv, uint32_t alive, bool running, bool open)
{
    int64_t now = mp__now();
    if (now < sv->retry)
        return alive;
    sv->retry = 0;
    uint32_t target = mp__load_relaxed(&sv->control->target), used = mp__crew_used(&sv->crew);
    bool failed = false;
    for (uint32_t i = 0; i < (used > target ? used : target) && !failed; i++) {
        if (open || i >= target)
            end_rest(sv, i);
        if (!is_wanting(sv, i, running || open))
            continue;
        failed = mp__crew_fork(&sv->crew, i) < 0;
        alive += !failed;
    }
    if (failed)
        sv->retry = now + RETRY_NS;
    if (!failed || alive > 0)
        sv->starved = 0;
    else if (sv->starved == 0)
        sv->starved = now;
    else if (now - sv->starved > STARVED_NS)
        fail_pool(sv, &(mp__verdict){.code = MP_ETASK, .text = "no worker could be started"});
    return alive;
}

/* Signals workers whose item has outlived its soft limit, kills those past the hard one. */
static void enforce_limits(supervisor *sv)
{
    mp__limit_round round = mp__limit_begin(mp__load_relaxed(&sv->control->limit));
    int soft_signal = sv->crew.plan->options.soft_signal;
    uint32_t used = mp__crew_used(&sv->crew);
    for (uint32_t i = 0; i < used; i++) {
        mp__place *p = &sv->crew.places[i];
        int64_t deadline;
        if (p->child.pid == 0 || p->killed)
            continue;
        enum mp__limit_verdict verdict =
            mp__limit_look(&round, &sv->control->slot[i], &deadline, &p->warned);
        if (verdict == MP__LIMIT_HARD)
            mp__crew_kill(&sv->crew, i, deadline);
        else if (verdict == MP__LIMIT_SOFT && soft_signal != 0)
            mp__child_signal(&p->child, soft_signal);
    }
    sv->next_limit = round.next;
}

/* Whether that slot runs an item of a work that shall be killed. The work is held in our own slot
 * meanwhile, so that the program does not free it (pool/settle.c). */
static bool is_to_be_killed(supervisor *sv, const mp__slot *s)
{
    mp__slot *mine = &sv->control->slot[sv->control->slots];
    mp__work *w = mp__load_seq(&s->work);
    if (w == NULL || !(mp__load_acquire(&s->item) & 1))
        return false;
    mp__store_seq(&mine->work, w);
    bool answer = mp__load_seq(&s->work) == w && mp__load_acquire(&w->killed) != 0;
    mp__claim_forget(mine);
    return answer;
}

/* If one of them has just ended its item by itself, what it runs instead runs again. */
static void enforce_kills(supervisor *sv)
{
    uint32_t used = mp__crew_used(&sv->crew);
    for (uint32_t i = 0; i < used; i++) {
        mp__place *p = &sv->crew.places[i];
        if (p->child.pid != 0 && !p->killed && is_to_be_killed(sv, &sv->control->slot[i]))
            mp__crew_kill(&sv->crew, i, -1);
    }
}

static mp__deadline next_look(const supervisor *sv)
{
    mp__deadline next = MP__NEVER;
    if (sv->retry != 0)
        next.ns = sv->retry;
    if (sv->timing)
        next = mp__deadline_min(next, (mp__deadline){sv->next_limit});
    return next;
}

/* Sleeps until something happens. Returns false if the program is gone. */
static bool wait_for_events(supervisor *sv)
{
    int n = 0;
    uint32_t used = mp__crew_used(&sv->crew);
    sv->polls[n++] = (struct pollfd){.fd = sv->bell, .events = POLLIN};
    for (uint32_t i = used; i-- > 0 && !(sv->closing && n > 1);) { /* then they come by one wake */
        mp__child *child = &sv->crew.places[i].child;
        if (child->pid != 0)
            sv->polls[n++] = (struct pollfd){.fd = mp__child_sentinel(child), .events = POLLIN};
    }
    mp__poll(sv->polls, n, next_look(sv));
    if (sv->polls[0].revents == 0)
        return true;
    bool lives = mp__servant_heed(sv->bell);
    /* Afterwards: what is announced later rings again. */
    sv->timing = mp__load_seq(&sv->control->limit) != 0;
    enforce_kills(sv);
    return lives;
}

_Noreturn static void kill_all(supervisor *sv)
{
    mp__crew_kill_all(&sv->crew);
    mp__child_leave(0);
}

/* One round. Leaves when there is nothing to do any more. */
static void look(supervisor *sv)
{
    mp__pool_control *c = sv->control;
    uint32_t alive = look_after_workers(sv);
    enum mp__pool_phase phase = mp__pool_phase_of(c);
    if (phase >= MP__POOL_TERMINATED)
        kill_all(sv);
    bool open = mp__claim_open(c); /* after who rests was counted */
    bool work = open || mp__claim_any(c);
    if (phase == MP__POOL_RUNNING || work)
        alive = fill_up(sv, alive, phase == MP__POOL_RUNNING, open);
    else
        sv->retry = 0;
    sv->closing = phase == MP__POOL_CLOSED && !work;
    if (sv->closing && alive == 0)
        mp__child_leave(0);
    if (sv->timing)
        enforce_limits(sv);
    sv->timing = sv->timing && work;
}

/* Forks the first workers, all or none. */
static void start(supervisor *sv)
{
    int rc = 0;
    uint32_t target = mp__load_relaxed(&sv->control->target);
    for (uint32_t i = 0; i < target && rc == 0; i++)
        rc = mp__crew_fork(&sv->crew, i);
    if (rc < 0) {
        mp__store_release(&sv->control->start_code, rc);
        mp__pool_enter(sv->control, MP__POOL_FAILED);
        kill_all(sv);
    }
    mp__pool_enter(sv->control, MP__POOL_RUNNING);
}

/* Closes what it inherited, but the bell and what the workers shall keep. */
static void close_descriptors(const mp__pool_plan *plan, int bell)
{
    const int *keep = plan->options.keep;
    size_t count = 0;
    while (keep != NULL && keep[count] >= 0)
        count++;
    int *open = malloc((count + 1) * sizeof *open);
    if (open == NULL)
        return;
    for (size_t i = 0; i < count; i++)
        open[i] = keep[i];
    open[count] = bell;
    mp__fd_close_all_but(open, count + 1);
    free(open);
}

void mp__supervisor_prepare(void *plan, int bell)
{
    mp__thread *self = mp__thread_self();
    self->is_main = false; /* no program's mp_interrupt() to look for in its sleeps */
    self->waits = (mp__spinner){.skip = 1}; /* the workers': nobody has submitted anything yet */
    mp__dispositions_of_helper();
    mp__stdio_disown();
    close_descriptors(plan, bell);
    mp__owned_are_all_but(((const mp__pool_plan *)plan)->options.keep);
    if (mp__entry_prepare() < 0)
        mp__child_leave(EXIT_FAILURE);
}

void mp__supervisor_run(void *arg, int bell)
{
    const mp__pool_plan *plan = arg;
    uint32_t slots = plan->control->slots;
    mp__life_hold(&plan->control->supervisor);
    supervisor sv = {
        .crew = {.plan = plan, .control = plan->control}, .control = plan->control, .bell = bell};
    sv.crew.places = calloc(slots, sizeof *sv.crew.places);
    sv.polls = calloc(slots + (size_t)1, sizeof *sv.polls);
    if (sv.crew.places == NULL || sv.polls == NULL) {
        mp__store_release(&plan->control->start_code, MP_ENOMEM);
        mp__pool_enter(plan->control, MP__POOL_FAILED);
        mp__child_leave(0);
    }
    start(&sv);
    for (;;) {
        look(&sv);
        if (!wait_for_events(&sv))
            kill_all(&sv);
    }
}
