/* SPDX-License-Identifier: MIT */
/*
 * The plain semaphore: lib/sync/semaphore.c.
 *
 *   load, fast    take() (semaphore.acquire.taken)
 *   look, late    take_or_arm(): the load; the compare-and-swap that takes (..taken_late) or arms
 *                 (..armed)      pass  its wake (..passed_on)     sleep  mp__sleep() (..woken)
 *   read, add     add(): the load; the compare-and-swap (semaphore.release.added)
 *   wake          mp__futex_wake() (semaphore.release.woken)
 *
 * The semaphore begins with 0. Process 0 and 1 acquire; process 2 acquires, gives up at a deadline
 * where it may, and else releases again; process 3 releases twice. A sleeper rests on the 100 ms
 * rule only after a death.
 *
 * Properties: no permit comes or goes but by acquire and release; without a death nobody sleeps
 * while there is a permit; with deaths nobody does who looks again.
 *
 * check: -DKILLS=0 -DLOOKS=0
 * check: -DKILLS=1 -DLOOKS=2 -DSPURIOUS=0 -DTWO    process 3 releases two at once
 * broken: -DKILLS=0 -DLOOKS=0 -DBROKEN_PASS who leaves permits wakes nobody
 * broken: -DKILLS=0 -DLOOKS=0 -DBROKEN      who has slept takes a permit without the bit
 */
#define N        4
#define WORDS    1
#define LINKABLE 1
#define S        0
#define ARMED    128
#define VALUE(v) ((v) & 127)

byte released, acquired; /* ghosts */

#define MAY_SLEEP(p) (VALUE(word[S]) == 0)
#define AT_END       assert(released == acquired + VALUE(word[S]))

#include "kernel.pml"

#ifdef BROKEN
#define ARM_LATE 0
#else
#define ARM_LATE ARMED
#endif

inline acquire(may_give_up)
{
    seen = word[S]; /* load */
    got = false;
    do
    :: VALUE(seen) != 0 && !got ->
        atomic { /* fast */
            if
            :: word[S] == seen -> word[S] = seen - 1; acquired++; got = true
            :: else -> seen = word[S]
            fi
        }
    :: else -> break
    od;
    do
    :: got -> break
    :: else ->
        seen = word[S]; /* look */
        do
        :: seen == ARMED -> break
        :: else ->
            atomic { /* late */
                if
                :: word[S] == seen && VALUE(seen) != 0 ->
                    word[S] = (seen - 1) | ARM_LATE;
                    acquired++;
                    got = true;
                    seen = VALUE(seen) - 1;
                    break
                :: word[S] == seen && VALUE(seen) == 0 ->
                    word[S] = ARMED;
                    break
                :: else -> seen = word[S]
                fi
            }
        od;
        if
        :: got -> pass()
        :: else ->
            if
            :: may_give_up -> break
            :: futex_wait(S, ARMED) /* sleep */
            fi
        fi
    od
}

inline wake_some(n)
{
    atomic {
        do
        :: n > 0 -> wake_one(S); n--
        :: else -> break
        od
    }
}

#ifdef BROKEN_PASS
inline pass()
{
    skip
}
#else
inline pass()
{
    wake_some(seen)
}
#endif

inline release(n)
{
    seen = word[S]; /* read */
    got = true;
    do
    :: got ->
        atomic { /* add */
            if
            :: word[S] == seen -> word[S] = VALUE(seen) + n; released = released + n; got = false
            :: else -> seen = word[S]
            fi
        }
    :: else -> break
    od;
    if
    :: seen & ARMED -> seen = n; wake_some(seen) /* wake */
    :: else
    fi
}

proctype taker(byte me)
{
    byte seen;
    bool got;
    {
        acquire((me == 2));
        if
        :: got && me == 2 -> release(1)
        :: else
        fi;
        done[me] = true
    }
    unless
    {
        killed[me] -> bed[me] = 0; done[me] = true
    }
}

proctype releaser(byte me)
{
    byte seen;
    bool got;
    {
#ifdef TWO
        release(2);
#else
        release(1);
        release(1);
#endif
        done[me] = true
    }
    unless
    {
        killed[me] -> done[me] = true
    }
}

init
{
    atomic {
        run taker(0);
        run taker(1);
        run taker(2);
        run releaser(3)
    }
}
