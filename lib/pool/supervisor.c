/* SPDX-License-Identifier: MIT */
/*
 * Why it is right. The supervisor is single-threaded and sleeps in poll on the bell and on its
 * workers' sentinels; all that it decides is in shared memory or follows from it:
 * - A worker's death shows on its sentinel. Its claim is made definite, the item that it was
 *   running is settled or tried again, and the rest of its range waits in the slot for the next
 *   worker there (pool/claim.h, pool/worker.c).
 * - The program's end, whatever its kind, hangs up the bell: the workers are killed.
 * - The supervisor's own death: the kernel kills the workers (os/lifeline.c). The program's threads
 *   watch its life word, and settle what is left when the workers' life words are over, too
 *   (pool/pool.c). So nothing is settled by two: the supervisor settles while it lives, the program
 *   when nobody else does.
 */
#include "pool/supervisor.h"

#include "os/child.h"
#include "os/clock.h"
#include "os/dispositions.h"
#include "os/fd.h"
#include "os/lifeline.h"
#include "os/poller.h"
#include "os/servant.h"
#include "os/signals.h"
#include "os/stdio.h"
#include "os/thread.h"
#include "pool/badge.h"
#include "pool/claim.h"
#include "pool/crash.h"
#include "pool/idle.h"
#include "pool/insight.h"
#include "pool/limit.h"
#include "proc/entry.h"

#include <mproc/error.h>
#include <mproc/process.h>
#include <stdio.h>
#include <stdlib.h>

#define START_DEATHS_MOST 3                     /* in a row, before a worker was ever ready */
#define RETRY_NS          (100 * MP__NS_PER_MS) /* between attempts to fork */
#define STARVED_NS        (5 * MP__NS_PER_S)    /* without any worker, before the pool fails */

/* A slot's process. */
typedef struct place {
    mp__child child; /* pid 0: none */
    mp__lifeline line;
    bool ready;      /* has been seen to take work */
    bool killed;     /* by us */
    int64_t expired; /* the deadline for which; -1: for none */
    int64_t warned;  /* the soft deadline that it was told of last */
} place;

typedef struct supervisor {
    const mp__pool_plan *plan;
    mp__pool_control *control;
    int bell;
    place *places;
    struct pollfd *polls; /* the bell, then one for each slot */
    mp__badge badge;      /* of the worker that is forked next */
    unsigned forked;
    unsigned start_deaths;
    int64_t retry;      /* when to try again to fork; 0: nothing to try */
    int64_t starved;    /* since when there has been no worker at all; 0: there is one */
    bool timing;        /* items with a time limit may be running */
    int64_t next_limit; /* then: when one of those may pass */
} supervisor;

static void fail_pool(supervisor *sv, const char *text)
{
    mp__pool_blame(sv->control, mp__failure_create(MP_ETASK, 0, text));
    mp__pool_enter(sv->control, MP__POOL_FAILED);
}

static mp__failure *describe(int code, int pid, int exitcode)
{
    char text[128];
    const char *name = exitcode < 0 ? mp__signal_name(-exitcode) : NULL;
    if (code == MP_ETASKTIMEOUT)
        snprintf(text, sizeof text, "killed by its time limit");
    else if (exitcode < 0)
        snprintf(text, sizeof text, "the worker was killed by signal %d%s%s%s", -exitcode,
                 name != NULL ? " (" : "", name != NULL ? name : "", name != NULL ? ")" : "");
    else
        snprintf(text, sizeof text, "the task ended its worker with exit status %d", exitcode);
    mp__failure *f = mp__failure_create(code, pid, text);
    if (f != NULL) {
        f->signal = exitcode < 0 ? -exitcode : 0;
        f->exit_status = exitcode > 0 ? exitcode : 0;
    }
    return f;
}

/* The item that a dead worker was running: true if it is settled, false if it shall run again. */
static bool settle_item(const place *p, mp__slot *s, mp__work *w, uint64_t item, int exitcode)
{
    if (p->killed && p->expired != mp__load_relaxed(&s->deadline))
        return false; /* its predecessor had ended just before we struck */
    int code = p->killed ? MP_ETASKTIMEOUT : MP_ECRASHED;
    uint32_t attempts = mp__load_relaxed(&s->attempts);
    if (code == MP_ECRASHED && attempts < w->retries) {
        mp__store_relaxed(&s->attempts, attempts + 1);
        return false;
    }
    mp__store_relaxed(&s->attempts, 0);
    mp__work_fail(w, item, code, mp__crash_keep(describe(code, p->child.pid, exitcode), s));
    return true;
}

/* What a dead worker has left in its slot. */
static void settle(supervisor *sv, uint32_t slot, int exitcode)
{
    mp__slot *s = &sv->control->slot[slot];
    mp__claim_resolve(sv->control, slot);
    mp__work *w = mp__load_relaxed(&s->work);
    mp__range range;
    if (mp__claim_get(s, &range)) {
        uint64_t item = mp__load_acquire(&s->item);
        range.start = item >> 1;
        if ((item & 1) && settle_item(&sv->places[slot], s, w, item >> 1, exitcode))
            range.start++;
        mp__claim_set(sv->control, s, range);
    } else if (w != NULL) {
        mp__claim_finish(sv->control, w); /* it may have died before it looked itself */
    }
    if (!mp__claim_get(s, &range))
        mp__claim_forget(s);
    mp__idle_bury(sv->control, slot);
}

static void judge_start(supervisor *sv, enum mp__slot_state state)
{
    if (state == MP__SLOT_FAILING)
        mp__pool_enter(sv->control, MP__POOL_FAILED);
    else if (state == MP__SLOT_STARTING && ++sv->start_deaths >= START_DEATHS_MOST)
        fail_pool(sv, "the workers die before they are ready");
}

static void bury(supervisor *sv, uint32_t slot, int exitcode)
{
    place *p = &sv->places[slot];
    mp__slot *s = &sv->control->slot[slot];
    enum mp__slot_state state = (enum mp__slot_state)mp__load_acquire(&s->state);
    judge_start(sv, state);
    mp__insight_end(sv->control, slot, exitcode, p->killed ? "time limit" : NULL);
    settle(sv, slot, exitcode);
    mp__child_drop(&p->child);
    mp__lifeline_drop(&p->line);
    p->child.pid = 0;
    mp__store_relaxed(&s->pid, 0);
    mp__store_relaxed(&s->state, MP__SLOT_VACANT);
}

/* A worker that cannot be watched: it may have begun to work, and what it was running runs
 * again. */
static void give_up(supervisor *sv, uint32_t slot)
{
    place *p = &sv->places[slot];
    p->child.has_pidfd = false; /* by its id, which nobody but us can free */
    mp__child_signal(&p->child, SIGKILL);
    mp__child_abandon(&p->child);
    p->killed = true;
    p->expired = -1; /* no deadline */
    mp__insight_end(sv->control, slot, -SIGKILL, "it could not be watched");
    settle(sv, slot, -SIGKILL);
}

static int fork_worker(supervisor *sv, uint32_t slot)
{
    place *p = &sv->places[slot];
    mp__slot *s = &sv->control->slot[slot];
    int rc = mp__insight_start(sv->control, slot, sv->forked + 1);
    if (rc < 0)
        return rc;
    rc = mp__badge_make(&sv->badge, sv->plan, sv->forked + 1);
    if (rc == 0)
        rc = mp__lifeline_prepare(&p->line);
    if (rc < 0) {
        mp__badge_discard(&sv->badge);
        mp__insight_cancel(sv->control, slot);
        return rc;
    }
    pid_t supervisor_pid = mp__process_id();
    p->ready = p->killed = false;
    p->warned = 0;
    mp__store_relaxed(&s->state, MP__SLOT_STARTING);
    if (slot >= mp__load_relaxed(&sv->control->used))
        mp__store_seq(&sv->control->used, slot + 1); /* before it has a worker */
    rc = mp__child_fork(&p->child);
    if (rc == 0) {
        mp__lifeline_arm(&p->line, supervisor_pid);
        mp__worker_run(sv->plan, slot, &sv->badge);
    }
    if (rc > 0)
        rc = mp__child_watch(&p->child);
    mp__lifeline_sent(&p->line);
    mp__badge_discard(&sv->badge);
    if (rc < 0) {
        if (p->child.pid != 0)
            give_up(sv, slot);
        else
            mp__insight_cancel(sv->control, slot);
        p->child.pid = 0;
        mp__lifeline_drop(&p->line);
        mp__store_relaxed(&s->state, MP__SLOT_VACANT);
        return rc;
    }
    sv->forked++;
    mp__store_relaxed(&s->pid, p->child.pid);
    return 0;
}

/* A worker that got ready ends a row of deaths before that. */
static void note_ready(supervisor *sv)
{
    for (uint32_t i = 0; i < sv->control->slots; i++) {
        place *p = &sv->places[i];
        uint32_t state = mp__load_acquire(&sv->control->slot[i].state);
        if (p->child.pid == 0 || p->ready || state < MP__SLOT_READY)
            continue;
        p->ready = true;
        sv->start_deaths = 0;
    }
}

/* Buries who has died; returns how many live. */
static uint32_t look_after_workers(supervisor *sv)
{
    uint32_t alive = 0;
    note_ready(sv);
    for (uint32_t i = 0; i < sv->control->slots; i++) {
        if (sv->places[i].child.pid == 0)
            continue;
        int exitcode = mp__child_reap(&sv->places[i].child);
        if (exitcode == MP_NO_EXITCODE)
            alive++;
        else
            bury(sv, i, exitcode);
    }
    return alive;
}

/* Fills the empty places; returns how many workers there are then. */
static uint32_t fill_up(supervisor *sv, uint32_t alive)
{
    int64_t now = mp__now();
    if (alive == sv->control->slots || now < sv->retry)
        return alive;
    sv->retry = 0;
    for (uint32_t i = 0; i < sv->control->slots; i++) {
        if (sv->places[i].child.pid != 0)
            continue;
        if (fork_worker(sv, i) < 0) {
            sv->retry = now + RETRY_NS;
            break;
        }
        alive++;
    }
    if (alive > 0)
        sv->starved = 0;
    else if (sv->starved == 0)
        sv->starved = now;
    else if (now - sv->starved > STARVED_NS)
        fail_pool(sv, "no worker could be started");
    return alive;
}

/* Signals workers whose item has outlived its soft limit, kills those past the hard one. */
static void enforce_limits(supervisor *sv)
{
    mp__limit_round round = mp__limit_begin(mp__load_relaxed(&sv->control->limit));
    for (uint32_t i = 0; i < sv->control->slots; i++) {
        place *p = &sv->places[i];
        int64_t deadline;
        if (p->child.pid == 0 || p->killed)
            continue;
        enum mp__limit_verdict verdict =
            mp__limit_look(&round, &sv->control->slot[i], &deadline, &p->warned);
        if (verdict == MP__LIMIT_HARD) {
            p->killed = true;
            p->expired = deadline;
            mp__child_signal(&p->child, SIGKILL);
        } else if (verdict == MP__LIMIT_SOFT && sv->plan->options.soft_signal != 0) {
            mp__child_signal(&p->child, sv->plan->options.soft_signal);
        }
    }
    sv->next_limit = round.next;
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
    sv->polls[n++] = (struct pollfd){.fd = sv->bell, .events = POLLIN};
    for (uint32_t i = 0; i < sv->control->slots; i++)
        if (sv->places[i].child.pid != 0)
            sv->polls[n++] =
                (struct pollfd){.fd = mp__child_sentinel(&sv->places[i].child), .events = POLLIN};
    mp__poll(sv->polls, n, next_look(sv));
    if (sv->polls[0].revents == 0)
        return true;
    bool lives = mp__servant_heed(sv->bell);
    /* Afterwards: a limit that is announced later rings again. */
    sv->timing = mp__load_seq(&sv->control->limit) != 0;
    return lives;
}

_Noreturn static void kill_all(supervisor *sv)
{
    for (uint32_t i = 0; i < sv->control->slots; i++)
        if (sv->places[i].child.pid != 0)
            mp__child_signal(&sv->places[i].child, SIGKILL);
    for (uint32_t i = 0; i < sv->control->slots; i++) {
        mp__child *child = &sv->places[i].child;
        while (child->pid != 0 && mp__child_reap(child) == MP_NO_EXITCODE)
            mp__poll_one(mp__child_sentinel(child), POLLIN, mp__deadline_in_ns(MP__NS_PER_MS));
    }
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
    bool work = mp__claim_any(c);
    if (phase == MP__POOL_RUNNING || work)
        alive = fill_up(sv, alive);
    else
        sv->retry = 0;
    if (phase == MP__POOL_CLOSED && alive == 0 && !work)
        mp__child_leave(0);
    if (sv->timing)
        enforce_limits(sv);
    sv->timing = sv->timing && work;
}

/* Forks the first workers, all or none. */
static void start(supervisor *sv)
{
    int rc = 0;
    for (uint32_t i = 0; i < sv->control->slots && rc == 0; i++)
        rc = fork_worker(sv, i);
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
    if (mp__entry_prepare() < 0)
        mp__child_leave(EXIT_FAILURE);
}

void mp__supervisor_run(void *arg, int bell)
{
    const mp__pool_plan *plan = arg;
    uint32_t slots = plan->control->slots;
    mp__life_hold(&plan->control->supervisor);
    supervisor sv = {.plan = plan, .control = plan->control, .bell = bell};
    sv.places = calloc(slots, sizeof *sv.places);
    sv.polls = calloc(slots + (size_t)1, sizeof *sv.polls);
    if (sv.places == NULL || sv.polls == NULL) {
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
