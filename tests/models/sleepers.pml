/* SPDX-License-Identifier: MIT */
/*
 * The sleepers: lib/sync/sleepers.c, with the argument in sleepers.h, as lib/chan/{put,get}.c use
 * them. Nobody has a timer: LOOKS is 0 throughout.
 *
 *   lock    the putters' lock, of which only its being held matters here
 *   any     mp__sleepers_any(), behind the barrier     announce, retract  mp__robust_announce...()
 *   put     the change is published                    count  the first mp__futex_wake() of wake()
 *   clear   its change of the word                     all    its second mp__futex_wake()
 *   join    the compare-and-swap of mp__sleepers_join() check  the look before the sleep
 *   sleep   mp__sleepers_sleep()                       take   head is moved on
 *   more    the looks in leave()
 *
 * A sleep with a slice (a getter that has seen the lock held) ends by itself when its putter is
 * through: here it looks again at once.
 *
 * A putter puts ITEMS at once; takers take one each, and are gone. GIVES_UP: the first taker leaves
 * with MP_EINTR when it was woken. Property: when all are at rest, nobody sleeps while there is an
 * item.
 *
 * With deaths it does not hold as it stands: a bell wakes only who is already asleep. A putter that
 * is killed between its put and its wake while the one taker stands between its look and its sleep
 * leaves that asleep (STANDS_BETWEEN finds it; so it is for a woken taker that is killed then).
 *
 * check: -DKILLS=0 -DPUTTERS=1 -DITEMS=1
 * check: -DKILLS=0 -DPUTTERS=1 -DITEMS=2
 * check: -DKILLS=0 -DPUTTERS=1 -DITEMS=1 -DGIVES_UP
 * broken: -DKILLS=0 -DPUTTERS=1 -DITEMS=1 -DNO_SECOND_WAKE clears the bit and wakes nobody
 * broken: -DKILLS=0 -DPUTTERS=1 -DITEMS=1 -DGIVES_UP -DNO_PASSING who gives up wakes nobody
 * broken: -DKILLS=1 -DPUTTERS=1 -DITEMS=1 -DSTANDS_BETWEEN a bell that rings before the sleep
 */
#if PUTTERS > 1
#define N 4
#else
#define N 3
#endif
#define WORDS    1
#define LINKABLE 1
#define SPURIOUS 0
#define LOOKS    0
#define W        0
#define TURN     64
#define ASLEEP_BIT 128

byte items;
byte locked; /* by whom, + 1 */

#define MAY_SLEEP(p) (items == 0)

#include "kernel.pml"

#define ANY (word[W] & ASLEEP_BIT)

/* mp__sleepers_wake(): `n` are wanted. */
inline wake(n)
{
    if
    :: ANY ->
        atomic { /* count */
            woken = 0;
            do
            :: woken < n && ASLEEP(W) > 0 -> wake_one(W); woken++
            :: else -> break
            od
        };
        if
        :: woken < n ->
            atomic { word[W] = word[W] & ~ASLEEP_BIT }; /* clear */
#ifndef NO_SECOND_WAKE
            futex_wake_all(W) /* all */
#else
            skip
#endif
        :: else
        fi
    :: else
    fi
}

proctype putter(byte me)
{
    byte woken, had;
    bool told;
    {
        atomic { locked == 0 -> locked = me + 1 }; /* lock */
        if
        :: ANY -> /* any */
#ifndef NO_BELL
            pending[me] = W + 1; /* announce */
#endif
            items = items + ITEMS; /* put */
            wake(ITEMS);
            told = true;
            pending[me] = 0 /* retract */
        :: else -> items = items + ITEMS
        fi;
        locked = 0;
        if
        :: !told -> wake(ITEMS)
        :: else
        fi;
        done[me] = true
    }
    unless
    {
        killed[me] ->
        atomic {
            if
            :: locked == me + 1 -> locked = 0
            :: else
            fi
        };
        if
        :: pending[me] -> futex_wake(W)
        :: else
        fi;
        done[me] = true
    }
}

proctype taker(byte me)
{
    byte ticket, woken, had;
    bool first, slept, more;
    {
        do
        ::
#ifndef NO_TAKERS_BELL
           pending[me] = W + 1;
#endif
           atomic { /* join */
               if
               :: !ANY -> word[W] = (word[W] ^ TURN) | ASLEEP_BIT; first = true
               :: else
               fi;
               ticket = word[W]
           };
#ifndef NO_LOOK_AT_LOCK
           atomic { woken = locked };
#endif
           if
           :: items > 0 -> /* check */
            atomic { /* take */
                if
                :: items > 0 -> items--; break
                :: else
                fi
            }
           :: else ->
#ifndef NO_LOOK_AT_LOCK
            if
            :: woken -> locked == 0 /* a slice */
            :: else -> futex_wait(W, ticket); slept = true
            fi;
#else
            futex_wait(W, ticket);
            slept = true;
#endif
#ifndef NO_REWAKE
            if
            :: !ANY -> futex_wake_all(W)
            :: else
            fi;
#endif
#ifdef GIVES_UP
            if
            :: me == 0 && slept -> more = true; goto leave
            :: else
            fi
#else
            skip
#endif
           fi
        od;
        if
        :: items > 0 -> more = true
        :: else ->
            if
            :: first && locked -> more = true
            :: else
            fi
        fi;
#ifdef NO_MORE
        more = false;
#endif
leave:
#ifdef NO_PASSING
        more = false;
#endif
        if
        :: more -> wake(1)
        :: else
        fi;
        pending[me] = 0;
        done[me] = true
    }
    unless
    {
        killed[me] ->
        bed[me] = 0;
        if
        :: pending[me] -> futex_wake(W)
        :: else
        fi;
        done[me] = true
    }
}

init
{
    atomic {
        run taker(0);
        run taker(1);
#if PUTTERS > 1
        run putter(2);
        run putter(3)
#else
        run putter(2)
#endif
    }
}
