/* SPDX-License-Identifier: MIT */
/*
 * The event: lib/sync/event.c.
 *
 *   begin  mp_event_wait(): the first load, for the count   look  is_granted()
 *   arm    arm_and_sleep(): the compare-and-swap (event.wait.armed)   sleep  mp__sleep()
 *   load, set  mp_event_set(): the load and the compare-and-swap (event.set.set)
 *   wake   mp__futex_wake()  (event.set.woken)     disarm  the last compare-and-swap
 *   clear  mp_event_clear() (event.clear.cleared)
 *
 * One sets and clears, once or twice, one sets once, two wait. A sleeper rests on the 100 ms rule only after
 * a death of a setter before its wake.
 *
 * Properties: who waits when it is set returns, also if it is cleared at once; without a death that
 * needs no second look; nobody returns without a set.
 *
 * check: -DKILLS=0 -DLOOKS=0
 * check: -DKILLS=1 -DLOOKS=2 -DTIMES=1 -DSPURIOUS=0
 * broken: -DKILLS=0 -DLOOKS=0 -DBROKEN        a waiter takes the count anew at each look
 * broken: -DKILLS=0 -DLOOKS=0 -DBROKEN_DISARM the setter clears the bit from any word
 */
#define N        4
#define WORDS    1
#define LINKABLE 1
#define E        0
#define SLEEPER  1
#define SET      2
#define ONCE     4

bool waits[N];   /* ghosts: it is inside mp_event_wait(), */
bool granted[N]; /* and the event was set in that time */

#define MAY_SLEEP(p) (!granted[p])

#include "kernel.pml"

#define GRANTED(v) (((v) & SET) || (v) / ONCE != count)

#ifndef TIMES
#define TIMES 2
#endif

proctype waiter(byte me)
{
    byte count, seen;
    {
        atomic { /* begin */
            count = word[E] / ONCE;
            waits[me] = true;
            granted[me] = (word[E] & SET) != 0;
            seen = word[E]
        };
        do
        :: GRANTED(seen) -> break
        :: else ->
            atomic { /* arm */
                if
                :: word[E] == count * ONCE -> word[E] = word[E] | SLEEPER; seen = 1
                :: word[E] == (count * ONCE | SLEEPER) -> seen = 1
                :: else -> seen = 0
                fi
            };
            if
            :: seen -> futex_wait(E, (count * ONCE | SLEEPER)) /* sleep */
            :: else
            fi;
            seen = word[E]; /* look */
#ifdef BROKEN
            count = seen / ONCE
#endif
        od;
        atomic {
            assert(granted[me]);
            waits[me] = false;
            count = 0;
            seen = 0
        };
        done[me] = true
    }
    unless
    {
        killed[me] -> bed[me] = 0; done[me] = true
    }
}

inline set()
{
    seen = word[E]; /* load */
again:
    next = (seen & SET -> seen : (seen | SET) + ONCE);
    atomic { /* set */
        if
        :: word[E] == seen ->
            word[E] = next;
            granted[0] = granted[0] || waits[0];
            granted[1] = granted[1] || waits[1]
        :: else -> seen = word[E]; goto again
        fi
    };
    if
    :: next & SLEEPER ->
        futex_wake_all(E); /* wake */
        atomic { /* disarm */
            if
#ifdef BROKEN_DISARM
            :: word[E] = word[E] & ~SLEEPER
#else
            :: word[E] == next -> word[E] = next & ~SLEEPER
            :: else
#endif
            fi
        }
    :: else
    fi
}

proctype setter(byte me; byte times)
{
    byte seen, next;
    {
        do
        :: times > 0 ->
            set();
            if
            :: me == 2 -> word[E] = word[E] & ~SET /* clear */
            :: else
            fi;
            times--
        :: else -> break
        od;
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
        run waiter(0);
        run waiter(1);
        run setter(2, TIMES);
        run setter(3, 1)
    }
}
