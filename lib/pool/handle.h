/* SPDX-License-Identifier: MIT */
/* The program's side of a pool: its handle, its results, and the end. */
#ifndef MPROC_POOL_HANDLE_H
#define MPROC_POOL_HANDLE_H

#include "base/list.h"
#include "os/guard.h"
#include "os/loaded.h"
#include "os/servant.h"
#include "pool/callback.h"
#include "pool/claim.h"
#include "pool/failure.h"
#include "pool/returned.h"
#include "pool/worker.h"

struct mp_pool {
    uint64_t magic;
    uint64_t generation; /* of the process whose handle it is, see proc/registry.h */
    mp__pool_control *control;
    mp__pool_plan plan;
    mp__servant servant;
    mp__loaded *loaded;               /* what the workers know */
    mp__link link;                    /* among this process's pools */
    mp__guard guard;                  /* guards what follows, and the outcome of works */
    _Atomic(const void *) known_task; /* the last task that was looked up */
    mp__work *last;                   /* of the list */
    uint64_t orders;                  /* works submitted */
    uint64_t unstarted;               /* chained results that wait for others */
    _Atomic bool closing;             /* takes no more; closed when those have been started */
    mp__link results;                 /* that were not freed */
    mp__work *retired;                /* works whose results were freed, by `retired_next` */
    mp__work **retired_end;           /* where the next one goes */
    bool standing;                    /* pool/default.c: nobody frees it */
    struct mp_pool *earlier;          /* the standing one before it */
    _Atomic bool stripped;            /* it has ended, and its descriptors are closed */
    _Atomic bool over;                /* no process is left, and everything is settled */
    struct mp__trace *trace;          /* pool/insight.h; NULL: no insights are kept */
    mp__callbacks_of_pool callbacks;
};

struct mp_result {
    uint64_t magic;
    uint64_t generation;
    mp_pool *pool; /* NULL once that is freed */
    mp__work *work;
    mp_job job;                /* what is still needed of it */
    _Atomic uint32_t users;    /* besides the program: calls, callbacks, iterators, chains */
    _Atomic uint32_t delivery; /* pool/outcome.c */
    _Atomic bool told;         /* that it is done, to its progress function */
    _Atomic bool canceled;
    bool unstarted; /* counted in the pool's; with that one's guard held */
    bool inherits;  /* its work has failed because another had; with callbacks' guard held */
    bool part;      /* of a larger job: pool/parts.c */
    mp__link link;
    _Atomic(const mp__returned **) returned; /* by index, made when first asked for */
    mp__callbacks_of_result callbacks;
};

/* Guards the list of this process's pools, and which is the default one. While it is locked the
 * process does not fork: pools are not made meanwhile. */
void mp__handle_lock_pools(void);
void mp__handle_unlock_pools(void);

/* While it is locked: standing pools that have ended keep no descriptors. */
void mp__handle_strip_standing(void);

/* Whether it is a pool of the calling process: 0, MP_EINVAL or MP_ESTATE. */
int mp__handle_check(const mp_pool *pool);

/* Whether the supervisor is gone. Then what it has left unsettled is settled here, as soon as all
 * workers are gone, too: returns whether that is so. */
bool mp__handle_settle(mp_pool *pool);
bool mp__handle_is_lost(const mp_pool *pool);

/* The work is not needed any more; it is freed when nobody can be using it. With the guard held. */
void mp__handle_retire(mp_pool *pool, mp__work *w);
/* Frees some of those. With the guard held. */
void mp__handle_sweep(mp_pool *pool);

/* Why nothing runs there any more: MP_ESTATE, or MP_ETASK if it has failed; else 0. */
int mp__handle_end(const mp_pool *pool);

/* Why the pool takes no work of the program: MP_ESTATE, or MP_ETASK if it has failed; else 0. */
int mp__handle_refusal(const mp_pool *pool);

/* Why what is left of a pool that has ended, but not in order, does not run. */
mp__verdict mp__handle_verdict(const mp_pool *pool);

/* Takes no more work; with the guard held. Workers leave when what was taken has run, chained
 * results included, for which the pool stays open until the last of them is started or ended. */
void mp__handle_close(mp_pool *pool);

/* Makes a result of a job that was checked, whose work nobody runs yet. */
int mp__result_make(mp_pool *pool, mp_result **out, const mp_job *job);

/* Puts it among the pool's results. Returns 0, or why the pool does not take any; then it is freed.
 */
int mp__result_enlist(mp_result *r);

/* It will be started when another result is done; before mp__result_enlist(). */
void mp__result_postpone(mp_result *r);

/* It is started, or ended: it does not keep its pool from closing any more. With the pool's guard
 * held. */
void mp__result_is_begun(mp_result *r);

/* Gives its work to the workers. Returns 0, or why the pool does not take any. */
int mp__result_launch(mp_result *r);

/* Both. */
int mp__result_submit(mp_pool *pool, mp_result **out, const mp_job *job);

/* Whether the result is one, and of the calling process: 0, MP_EINVAL or MP_ESTATE. */
int mp__result_check(const mp_result *r);

/* As long as it is held it stays, even if the program frees it. */
void mp__result_hold(mp_result *r);
void mp__result_let_go(mp_result *r);

/* Waits for it. Returns 0 or why it does not wait any more. */
int mp__result_await(mp_result *r, mp__deadline until);

/* What a waiting call does for a pool whose supervisor is gone: true if all is settled, or it is
 * not gone; else it has slept for a moment, unless it is a try. */
bool mp__result_settle_lost(mp_result *r, mp__deadline until);

/* Fills the job's own places, and shows that it is done, once. */
void mp__result_finish(mp_result *r);

/* Nobody wants it as much as that any more. */
void mp__result_wish(mp_result *r, enum mp__work_wish wish);

/* Cancels what has not started. */
void mp__result_abandon(mp_result *r);

#endif
