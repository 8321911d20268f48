/* SPDX-License-Identifier: MIT */
/*
 * The sleepers: lib/sync/sleepers.c, with the argument in sleepers.h, as lib/chan/{queue,put,get}.c
 * use them. Nobody has a timer (LOOKS is 0), but who sleeps for a slice, see below.
 *
 *   lock      put_lock, announced by who takes it      stir  mp__sleepers_stir(), its two accesses
 *   announce  the bell, instead of the lock            put   the change is published
 *   unlock    mp__mutex_free()            any, count, clear, all  in mp__sleepers_wake()
 *   join      announces the bell; then the compare-and-swap
 *   held      mp__queue_is_being_put()                 look  why_empty(), the look before the sleep
 *   sleep     mp__sleepers_sleep()                     rewake  its look at the word after that
 *   take      head is moved on                         more  the look in leave()
 *
 * The kernel wakes for a bell only who is asleep when it comes to the dead. A lock that was
 * announced is marked by it; one that was not stays the dead one's until somebody looks (reclaim):
 * a taker at the end of its slice, or another putter. A slice ends at any time. Who waits for the
 * lock stands still here: mutex.pml is about that.
 *
 * PUTTERS put ITEMS at once, PUTS times; TAKERS take TAKES items each, and are gone. GIVES_UP: the
 * first taker is interrupted in its first sleep, leaves, and comes again. Property: when all are at
 * rest, nobody sleeps while there is an item, and nobody waits for a lock. (One that is never taken
 * from a dead one would not show: a taker's slices have no end then.)
 *
 * The first of the broken ones is the code as it is, with the hole that sleepers.h tells of: the
 * word is what it was after two stirs. One stands between its look and its sleep while two items
 * are put, and joined for; who is due then is killed. The kernel finds nobody asleep, the ticket of
 * the first is good again, and it sleeps on.
 *
 * check: -DKILLS=0 -DPUTTERS=1 -DPUTS=3 -DTAKES=2
 * long check: -DKILLS=0 -DPUTTERS=1 -DPUTS=2 -DTAKES=2 -DGIVES_UP
 * check: -DKILLS=0 -DPUTTERS=2
 * check: -DKILLS=1 -DPUTTERS=1 -DITEMS=2 -DTAKES=2
 * long check: -DKILLS=1 -DPUTTERS=1 -DGIVES_UP
 * check: -DKILLS=1 -DPUTTERS=2 -DTAKERS=1 -DTAKES=2
 * check: -DKILLS=2 -DPUTTERS=1
 * broken: -DKILLS=1 -DPUTTERS=1 -DPUTS=2 stirred twice, the known hole
 * broken: -DKILLS=1 -DPUTTERS=1 -DNO_STIR who stands before its sleep is not stirred
 * broken: -DKILLS=0 -DPUTTERS=1 -DPUTS=3 -DTAKES=2 -DLOOKS_ONCE no look for sleepers after the put
 * broken: -DKILLS=1 -DPUTTERS=1 -DJOIN_TURNS who joins turns the word back that was stirred
 * long broken: -DKILLS=1 -DPUTTERS=1 -DGIVES_UP -DWAKES_IN_VAIN who gives up wakes for nothing
 * broken: -DKILLS=1 -DPUTTERS=1 -DNO_LOOK_AT_LOCK no look at the lock after join
 * broken: -DKILLS=1 -DPUTTERS=1 -DNO_ANNOUNCEMENT the lock stays announced, not the bell
 * broken: -DKILLS=1 -DPUTTERS=1 -DNO_TAKERS_BELL a taker announces nothing
 * broken: -DKILLS=0 -DPUTTERS=1 -DPUTS=3 -DTAKES=2 -DNO_SECOND_WAKE clears the bit and wakes nobody
 * broken: -DKILLS=1 -DPUTTERS=1 -DITEMS=2 -DNO_MORE who takes one wakes nobody for the rest
 * broken: -DKILLS=0 -DPUTTERS=1 -DGIVES_UP -DNO_PASSING who gives up wakes nobody
 */
#ifndef ITEMS
#define ITEMS 1
#endif
#ifndef PUTS
#define PUTS 1
#endif
#ifndef TAKES
#define TAKES 1
#endif
#ifndef TAKERS
#define TAKERS 2
#endif
#if PUTTERS > 1
#define N 4
#else
#define N 3
#endif
#define WORDS    2
#define LINKABLE 1
#ifdef GIVES_UP
#define SPURIOUS 1
#else
#define SPURIOUS 0
#endif
#define LOOKS    0
#define W        0 /* the sleepers' word */
#define LOCK     1
#define TURN       64
#define ASLEEP_BIT 128

byte items;

#define MAY_SLEEP(p) (items == 0)

#include "kernel.pml"

#define ANY  (word[W] & ASLEEP_BIT)
#define HELD (OWNER(word[LOCK]) != 0)

/* Whether the lock is that of one who is dead and gone. */
#define LEFT_BY_DEAD (HELD && done[OWNER(word[LOCK]) - 1])

/* mp__sleepers_wake(): `n` are wanted. */
inline wake(n)
{
    if
    :: ANY -> /* any */
        atomic { /* count */
            had = 0;
            do
            :: had < n && ASLEEP(W) > 0 -> wake_one(W); had++
            :: else -> break
            od
        };
        if
        :: had < n ->
            atomic { word[W] = word[W] & ~ASLEEP_BIT; had = 0 }; /* clear */
#ifndef NO_SECOND_WAKE
            futex_wake_all(W) /* all */
#else
            skip
#endif
        :: else -> had = 0
        fi
    :: else
    fi
}

/* What the kernel does with the announcement of a dead one. */
inline kernel_announced()
{
    atomic { had = 0; bed[me] = 0 };
    if
    :: pending[me] == W + 1 -> kernel_pending(W)
    :: pending[me] == LOCK + 1 -> kernel_pending(LOCK)
    :: else
    fi;
    atomic { had = 0; done[me] = true }
}

proctype putter(byte me)
{
    byte had, i;
#ifdef LOOKS_ONCE
    bool asleep;
#endif
    {
        do
        :: i == PUTS -> break
        :: else ->
            pending[me] = LOCK + 1;
            atomic { !HELD || LEFT_BY_DEAD -> word[LOCK] = me + 1 }; /* lock */
#ifdef LOOKS_ONCE
            asleep = (ANY != 0);
#endif
#ifndef NO_STIR
            if
            :: ANY -> word[W] = word[W] ^ TURN /* stir */
            :: else
            fi;
#endif
#ifndef NO_ANNOUNCEMENT
            pending[me] = W + 1; /* announce */
#endif
            items = items + ITEMS; /* put */
            word[LOCK] = 0;        /* unlock */
#ifdef LOOKS_ONCE
            if
            :: asleep -> wake(ITEMS)
            :: else
            fi;
#else
            wake(ITEMS);
#endif
            atomic { pending[me] = 0; i++ }
        od;
        done[me] = true
    }
    unless
    {
        killed[me] -> kernel_announced()
    }
}

proctype taker(byte me)
{
    byte ticket, had, i;
    bool joined, slice, slept, more, gave;
    {
        do
        :: items > 0 ->
            atomic { /* take, unless another was faster */
                if
                :: items > 0 -> items--; i++
                :: else -> goto on
                fi
            };
            more = items > 0; /* more */
#ifdef NO_MORE
            more = false;
#endif
leave:
            if
            :: joined && more -> wake(1)
            :: else
            fi;
            atomic {
                pending[me] = 0;
                more = false;
                joined = false;
                slept = false;
                if
                :: i == TAKES -> break
                :: else
                fi
            }
        :: else ->
#ifndef NO_TAKERS_BELL
            pending[me] = W + 1;
#endif
            atomic { /* join */
#ifdef JOIN_TURNS
                if
                :: !ANY -> word[W] = word[W] ^ TURN
                :: else
                fi;
#endif
                word[W] = word[W] | ASLEEP_BIT;
                ticket = word[W];
                joined = true
            };
#ifndef NO_LOOK_AT_LOCK
            slice = HELD; /* held */
#endif
            if
            :: items > 0 -> slice = false /* look */
            :: else ->
                atomic { /* sleep */
                    if
                    :: word[W] == ticket -> bed[me] = W + 1
                    :: else
                    fi;
                    ticket = 0
                };
                atomic {
                    if
                    :: bed[me] == 0 -> slept = true
                    :: bed[me] != 0 && slice -> bed[me] = 0
                    fi
                };
                if
                :: !ANY -> futex_wake_all(W) /* rewake */
                :: else
                fi;
                if
                :: slice ->
                    atomic {
                        slice = false;
                        if
                        :: LEFT_BY_DEAD -> word[LOCK] = DIED /* reclaim */
                        :: else
                        fi
                    }
                :: else
                fi;
#ifdef GIVES_UP
                if
                :: me == 0 && slept && !gave ->
                    gave = true;
#ifdef WAKES_IN_VAIN
                    more = true;
#else
#ifdef NO_PASSING
                    i = TAKES; /* and comes no more */
#else
                    more = items > 0;
#endif
#endif
                    goto leave
                :: else
                fi
#else
                skip
#endif
            fi;
on:         skip
        od;
        done[me] = true
    }
    unless
    {
        killed[me] -> kernel_announced()
    }
}

init
{
    atomic {
        run taker(0);
#if TAKERS > 1
        run taker(1);
#else
        done[1] = true;
#endif
        run putter(2)
#if PUTTERS > 1
        ;
        run putter(3)
#endif
    }
}
