/* SPDX-License-Identifier: MIT */
/*
 * The robust mutex: lib/os/mutex.c, lib/os/robust.c. mp_lock, and all internal locks, are one.
 *
 *   fast     mp__mutex_take_free(): its compare-and-swap (mutex.acquire.taken)
 *   load, cas  take(): the load, and the compare-and-swap that takes what nobody owns
 *   mark     sleep_and_take(): WAITERS put beside the owner's id (mutex.acquire.marked)
 *   link     mp__robust_link(): the store that makes the list reach the node (mutex.acquire.linked)
 *   unlink   mp__mutex_give_up(): the reverse (mutex.release.unlinked)
 *   release  its exchange (mutex.release.freed)    wake  mp__futex_wake() (mutex.release.woken)
 *
 * spin() is take() without mark, which a further round of `load` without a sleep is as well.
 * Process 0 acquires twice; process 2 may give up at a deadline or be interrupted, as the code
 * does: before a sleep, with WAITERS put, and after one.
 *
 * Properties: one owner; the death of an owner is told to the next owner and to nobody else; without
 * a death nobody sleeps for ever; with deaths nobody does who looks again.
 *
 * check: -DKILLS=0 -DLOOKS=0
 * check: -DKILLS=1 -DLOOKS=2 -DSPURIOUS=0
 * check: -DKILLS=1 -DLOOKS=2 -DSPURIOUS=0 -DOLD_KERNEL
 * broken: -DKILLS=0 -DLOOKS=0 -DBROKEN         who has slept takes the lock without WAITERS
 * broken: -DKILLS=1 -DLOOKS=2 -DBROKEN_PENDING the word is not announced
 */
#define N        3
#define WORDS    1
#define LINKABLE 3
#define M        0

byte holder; /* process + 1; ghost */
bool owed;   /* an owner died in it, and nobody was told yet; ghost */

#define MAY_SLEEP(p) false
#define AT_MARK(w)                                                                                 \
    assert(holder == me + 1);                                                                      \
    owed = true;                                                                                   \
    holder = 0

#include "kernel.pml"

#ifdef BROKEN
#define MARK_OF_SLEPT 0
#else
#define MARK_OF_SLEPT WAITERS
#endif

#ifdef BROKEN_PENDING
#define ANNOUNCE(w) skip
#else
#define ANNOUNCE(w) pending[me] = (w)
#endif

inline taken(before)
{
    assert(holder == 0);
    assert(owed == ((before & DIED) != 0));
    holder = me + 1;
    owed = false
}

proctype party(byte me; byte rounds)
{
    byte seen, mark, had;
    bool got;
    {
        do
        :: rounds > 0 ->
            ANNOUNCE(M + 1);
            mark = 0;
            got = false;
            atomic { /* fast */
                if
                :: word[M] == 0 -> taken(0); word[M] = me + 1; got = true
                :: else
                fi
            }
            do
            :: got -> break
            :: else ->
load:           seen = word[M];
                if
                :: OWNER(seen) == 0 ->
                    atomic { /* cas */
                        if
                        :: word[M] == seen ->
                            taken(seen);
                            word[M] = (me + 1) | (seen & WAITERS) | mark;
                            got = true
                        :: else -> goto load
                        fi
                    }
                :: else ->
                    if
                    :: !(seen & WAITERS) ->
                        atomic { /* mark */
                            if
                            :: word[M] == seen -> word[M] = seen | WAITERS
                            :: else -> goto load
                            fi
                        }
                    :: else
                    fi;
                    if
                    :: me == 2 -> break /* its deadline has passed */
                    :: futex_wait(M, (seen | WAITERS));
                       mark = MARK_OF_SLEPT
                    fi;
                    if
                    :: me == 2 && mark != 0 -> /* interrupted */
                        futex_wake(M);
                        break
                    :: true
                    fi
                fi
            od;
            if
            :: got ->
                linked[me] = true; /* link */
                ANNOUNCE(0);
                assert(holder == me + 1); /* the critical section */
                ANNOUNCE(M + 1);
                linked[me] = false; /* unlink */
                atomic { seen = word[M]; word[M] = 0; holder = 0 } /* release */
                if
                :: seen & WAITERS -> futex_wake(M) /* wake */
                :: else
                fi
            :: else
            fi;
            ANNOUNCE(0);
            rounds--
        :: else -> break
        od;
        done[me] = true
    }
    unless
    {
        killed[me] ->
            bed[me] = 0;
            kernel_entry(M);
            if
            :: pending[me] == M + 1 -> kernel_pending(M)
            :: else
            fi;
            done[me] = true
    }
}

init
{
    atomic {
        run party(0, 2);
        run party(1, 1);
        run party(2, 1)
    }
}
