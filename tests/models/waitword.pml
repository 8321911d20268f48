/* SPDX-License-Identifier: MIT */
/*
 * The waitword: lib/sync/waitword.c, with the argument in waitword.h.
 *
 *   change  the waker makes the condition hold, before mp__waitword_wake()
 *   look    mp__waitword_wake(): the load after the fence      count   its compare-and-swap
 *   wake    mp__futex_wake()                                   clear   the second compare-and-swap
 *   arm     mp__waitword_arm()      check  the sleeper's look at the condition
 *   sleep   mp__waitword_sleep()    take   it makes the condition its own (where one waker serves one)
 *
 * Two wakers each add an item and wake one (ALL: open a gate and wake all); two sleepers each want
 * an item (ALL: the open gate). A sleeper rests on the 100 ms rule after a death, and only then.
 *
 * Properties: without a death nobody sleeps while there is an item; with deaths nobody does who
 * looks again.
 *
 * check: -DKILLS=0 -DLOOKS=0
 * check: -DKILLS=1 -DLOOKS=2
 * check: -DKILLS=2 -DLOOKS=2 -DALL
 * broken: -DKILLS=0 -DLOOKS=0 -DBROKEN       who wakes one clears the bit at once
 * broken: -DKILLS=0 -DLOOKS=0 -DBROKEN_ORDER the waker looks at the bit before the change
 */
#define N        4
#define WORDS    1
#define LINKABLE 1
#define W        0
#define SLEEPERS 1

byte items; /* what is there; ALL: whether the gate is open */

#define MAY_SLEEP(p) (items == 0)

#include "kernel.pml"

#ifdef BROKEN
#define LEAVE_BIT 0
#else
#define LEAVE_BIT SLEEPERS
#endif

#define CHANGE items++

proctype waker(byte me)
{
    byte seen, woken;
    {
#ifdef BROKEN_ORDER
        seen = word[W];
        CHANGE;
#else
        CHANGE;         /* change */
        seen = word[W]; /* look */
#endif
again:  if
        :: seen & SLEEPERS ->
            atomic { /* count */
                if
#ifdef ALL
                :: word[W] == seen -> word[W] = (seen & ~SLEEPERS) + 2
#else
                :: word[W] == seen -> seen = (seen & ~SLEEPERS) + 2 + LEAVE_BIT; word[W] = seen
#endif
                :: else -> seen = word[W]; goto again
                fi
            };
#ifdef ALL
            futex_wake_all(W)
#else
            atomic { /* wake */
                woken = (ASLEEP(W) > 0);
                wake_one(W)
            };
            if
            :: woken < 1 ->
                atomic { /* clear */
                    if
                    :: word[W] == seen -> word[W] = seen & ~SLEEPERS
                    :: else -> woken = 1
                    fi
                };
                if
                :: woken < 1 -> futex_wake_all(W)
                :: else
                fi
            :: else
            fi
#endif
        :: else
        fi;
        done[me] = true
    }
    unless
    {
        killed[me] -> done[me] = true
    }
}

proctype sleeper(byte me)
{
    byte ticket;
    {
        do
        :: atomic { word[W] = word[W] | SLEEPERS; ticket = word[W] } /* arm */
           if
           :: items > 0 -> /* check */
#ifndef ALL
            atomic { /* take */
                if
                :: items > 0 -> items--; break
                :: else
                fi
            }
#else
            break
#endif
           :: else -> futex_wait(W, ticket) /* sleep */
           fi
        od;
        done[me] = true
    }
    unless
    {
        killed[me] -> bed[me] = 0; done[me] = true
    }
}

init
{
    atomic {
        run sleeper(0);
        run sleeper(1);
        run waker(2);
        run waker(3)
    }
}
