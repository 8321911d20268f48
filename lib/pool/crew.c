/* SPDX-License-Identifier: MIT */
#include "pool/crew.h"

#include "os/clock.h"
#include "os/poller.h"
#include "os/probe.h"
#include "os/signals.h"
#include "os/thread.h"
#include "pool/claim.h"
#include "pool/crash.h"
#include "pool/idle.h"
#include "pool/insight.h"

#include <mproc/error.h>
#include <mproc/process.h>
#include <stdio.h>

static mp__failure *describe(int code, int pid, int exitcode)
{
    char text[128], phrase[32];
    if (code == MP_ETASKTIMEOUT)
        snprintf(text, sizeof text, "killed by its time limit");
    else if (code == MP_ECANCELED)
        snprintf(text, sizeof text, "killed while it ran");
    else if (exitcode < 0)
        snprintf(text, sizeof text, "the worker was killed by %s",
                 mp__signal_phrase(phrase, sizeof phrase, -exitcode));
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
static bool settle_item(const mp__place *p, mp__slot *s, mp__work *w, uint64_t item, int exitcode)
{
    bool unwanted = mp__load_relaxed(&w->killed) != 0;
    if (!unwanted && p->killed && p->expired != mp__load_relaxed(&s->deadline))
        return false; /* its predecessor had ended just before we struck */
    int code = unwanted ? MP_ECANCELED : p->killed ? MP_ETASKTIMEOUT : MP_ECRASHED;
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
static void settle(mp__crew *crew, uint32_t slot, int exitcode)
{
    mp__slot *s = &crew->control->slot[slot];
    mp__claim_resolve(crew->control, slot);
    mp__work *w = mp__load_relaxed(&s->work);
    mp__range range;
    if (mp__claim_get(s, &range)) {
        uint64_t item = mp__load_acquire(&s->item);
        range.start = item >> 1;
        if ((item & 1) && settle_item(&crew->places[slot], s, w, item >> 1, exitcode))
            range.start++;
        mp__claim_set(crew->control, s, range);
    } else if (w != NULL) {
        mp__claim_finish(crew->control, w); /* it may have died before it looked itself */
    }
    if (!mp__claim_get(s, &range))
        mp__claim_forget(s);
    mp__idle_bury(crew->control, slot);
}

static const char *why_killed(const mp__place *p)
{
    return p->expired == -1 ? "its work was killed" : "time limit";
}

static enum mp__end end_of(enum mp__slot_state state, bool killed)
{
    if (killed)
        return MP__END_ORDERLY;
    switch (state) {
    case MP__SLOT_STARTING:
        return MP__END_UNREADY;
    case MP__SLOT_FAILING:
        return MP__END_FAILING;
    case MP__SLOT_READY:
        return MP__END_DEATH;
    case MP__SLOT_RESTING:
        return MP__END_RESTING;
    default:
        return MP__END_ORDERLY;
    }
}

enum mp__end mp__crew_bury(mp__crew *crew, uint32_t slot, int exitcode)
{
    mp__place *p = &crew->places[slot];
    mp__slot *s = &crew->control->slot[slot];
    enum mp__end end = end_of((enum mp__slot_state)mp__load_acquire(&s->state), p->killed);
    MP_PROBE3(worker__end, crew->control, slot, exitcode);
    mp__insight_end(crew->control, slot, exitcode, p->killed ? why_killed(p) : NULL);
    settle(crew, slot, exitcode);
    mp__child_drop(&p->child);
    mp__lifeline_drop(&p->line);
    p->child.pid = 0;
    mp__store_relaxed(&s->pid, 0);
    mp__store_relaxed(&s->state, MP__SLOT_VACANT);
    return end;
}

/* A worker that cannot be watched: it may have begun to work, and what it was running runs
 * again. */
static void give_up(mp__crew *crew, uint32_t slot)
{
    mp__place *p = &crew->places[slot];
    p->child.has_pidfd = false; /* by its id, which nobody but us can free */
    mp__child_signal(&p->child, SIGKILL);
    mp__child_abandon(&p->child);
    p->killed = true;
    p->expired = -1; /* no deadline */
    mp__insight_end(crew->control, slot, -SIGKILL, "it could not be watched");
    settle(crew, slot, -SIGKILL);
}

int mp__crew_fork(mp__crew *crew, uint32_t slot)
{
    mp__place *p = &crew->places[slot];
    mp__slot *s = &crew->control->slot[slot];
    int rc = mp__insight_start(crew->control, slot, crew->forked + 1);
    if (rc < 0)
        return rc;
    rc = mp__badge_make(&crew->badge, crew->plan, crew->forked + 1);
    if (rc == 0)
        rc = mp__lifeline_prepare(&p->line);
    if (rc < 0) {
        mp__insight_cancel(crew->control, slot);
        return rc;
    }
    pid_t supervisor_pid = mp__process_id();
    p->ready = p->killed = false;
    p->warned = 0;
    mp__store_relaxed(&s->state, MP__SLOT_STARTING);
    if (slot >= mp__load_relaxed(&crew->control->used))
        mp__store_seq(&crew->control->used, slot + 1); /* before it has a worker */
    rc = mp__child_fork(&p->child);
    if (rc == 0) {
        mp__lifeline_arm(&p->line, supervisor_pid);
        mp__worker_run(crew->plan, slot, &crew->badge);
    }
    if (rc > 0)
        rc = mp__child_watch(&p->child);
    mp__lifeline_sent(&p->line);
    if (rc < 0) {
        if (p->child.pid != 0)
            give_up(crew, slot);
        else
            mp__insight_cancel(crew->control, slot);
        p->child.pid = 0;
        mp__lifeline_drop(&p->line);
        mp__store_relaxed(&s->state, MP__SLOT_VACANT);
        return rc;
    }
    crew->forked++;
    mp__store_relaxed(&s->pid, p->child.pid);
    MP_PROBE3(worker__start, crew->control, slot, p->child.pid);
    return 0;
}

void mp__crew_kill(mp__crew *crew, uint32_t slot, int64_t deadline)
{
    mp__place *p = &crew->places[slot];
    p->killed = true;
    p->expired = deadline;
    mp__child_signal(&p->child, SIGKILL);
}

void mp__crew_kill_all(mp__crew *crew)
{
    uint32_t used = mp__crew_used(crew);
    for (uint32_t i = 0; i < used; i++)
        if (crew->places[i].child.pid != 0)
            mp__child_signal(&crew->places[i].child, SIGKILL);
    for (uint32_t i = 0; i < used; i++) {
        mp__child *child = &crew->places[i].child;
        while (child->pid != 0 && mp__child_reap(child) == MP_NO_EXITCODE)
            mp__poll_one(mp__child_sentinel(child), POLLIN, mp__deadline_in_ns(MP__NS_PER_MS));
    }
}
