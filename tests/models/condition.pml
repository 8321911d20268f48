/* SPDX-License-Identifier: MIT */
/*
 * The condition: lib/sync/waiters.c, lib/sync/condition.c. Its lock is that of mutex.pml, here in
 * one step; its holder's death is told to the next.
 *
 *   enter      mp__waiters_enter(): ... `state` (condition.wait.written), `engaged` (..engaged),
 *              the list (..linked)
 *   unlock     step_out() (condition.wait.released)    asleep  mp__waiters_sleep(): the
 *              compare-and-swap (..asleep), the sleep (..woken)   back  the lock again (..back)
 *   unsettled  mp__waiters_unsettled(), for which the lock is taken
 *   leave      mp__waiters_leave() (condition.wait.left)
 *   discharge  discharge(): the list (condition.discharge.unlinked), `engaged` (..done)
 *   note       notify_one(): `reach`, the lists (condition.notify.moved), the exchange (..marked),
 *              the wake (..woken)
 *   pass       pass_on(), finish_passing(): `heir`, `giver` (condition.pass.decided), the heir
 *              (..given), the giver (..done)
 *   rebuild    mend(), rebuild()
 *
 * The order within a list is that of the tickets; what the model keeps of the lists is who is in
 * them, which differs from the truth in the records between two stores of one who holds the lock,
 * or has died there. Whoever uses them while they are not `busy` finds that they agree.
 *
 * Processes 0 and 1 wait, process 2 waits, too, if N is 4, or may time out with -DTIMEOUT; the last
 * one notifies. A sleeper rests on the look each 100 ms after a death; else every wake-up arrives.
 *
 * Properties: notify(n) notifies min(n, waiters), those who have waited longest; each notify is
 * received by one waiter, and passed on exactly once if that one dies before it has left, as long
 * as somebody is there who waited when it was made; nobody sleeps for ever who was notified or is
 * owed one of the dead.
 *
 * check: -DN=4 -DKILLS=0 -DLOOKS=0 -DTIMEOUT
 * long check: -DN=4 -DKILLS=1 -DLOOKS=3 -DSPURIOUS=0
 * check: -DN=3 -DKILLS=2 -DLOOKS=4 -DSPURIOUS=0
 * broken: -DN=3 -DKILLS=1 -DLOOKS=3 -DSPURIOUS=0 -DBROKEN      what the dead were notified of is not passed on
 * broken: -DN=3 -DKILLS=1 -DLOOKS=3 -DSPURIOUS=0 -DBROKEN_BUSY half-changed lists are not made anew
 * broken: -DN=3 -DKILLS=2 -DLOOKS=4 -DSPURIOUS=0 -DBROKEN_PASS the giver is not remembered while it passes on
 */
#define WORDS     3
#define LINKABLE  1
#define SLEEPERS  (N - 1)
#define WAITING   0
#define ASLEEP_   1
#define NOTIFIED  2
#define NOBODY    9

byte owner;           /* of the lock: process + 1 */
bool owner_died;
bool gone[N];         /* the kernel has marked its life word */
bool engaged[N];
byte ticket[N];
byte reach[N];
byte next_ticket = 1;
bool busy;
byte giver = NOBODY, heir = NOBODY;
bool waits[N];        /* in the list `waiting` */
bool leaves[N];       /* in the list `leaving` */
byte made, received, expired; /* ghosts: notifies */

#define NOTED(p)    (word[p] == NOTIFIED)
#define DEBT(d)     (gone[d] && engaged[d] && NOTED(d))
#define OWED(p, d)  (DEBT(d) && ticket[p] < reach[d])
#if SLEEPERS > 2
#define ANY_DEBT    (DEBT(0) || DEBT(1) || DEBT(2))
#define OWED_ANY(p) (OWED(p, 0) || OWED(p, 1) || OWED(p, 2))
#define NONE_WAITS  (!waits[0] && !waits[1] && !waits[2])
#else
#define ANY_DEBT    (DEBT(0) || DEBT(1))
#define OWED_ANY(p) (OWED(p, 0) || OWED(p, 1))
#define NONE_WAITS  (!waits[0] && !waits[1])
#endif
#define MAY_SLEEP(p) (!NOTED(p) && !OWED_ANY(p))

#define DEBTS (DEBT(0) + DEBT(1) + (SLEEPERS > 2 -> DEBT(SLEEPERS - 1) : 0))
#define AT_END assert(made == received + expired + DEBTS)

#include "kernel.pml"

#ifndef NOTES
#define NOTES 1
#endif

/* The lists agree with the records. */
#define AGREES(p) (waits[p] == (engaged[p] && !NOTED(p)) && leaves[p] == (engaged[p] && NOTED(p)))
inline agree()
{
    assert(busy || (AGREES(0) && AGREES(1) && AGREES(SLEEPERS - 1)))
}

inline lock()
{
    atomic {
        owner == 0 ->
            owner = me + 1;
            told = owner_died;
            owner_died = false
    }
}

inline discharge(p)
{
    atomic {
        if
        :: NOTED(p) -> leaves[p] = false
        :: else -> waits[p] = false
        fi
    }
    atomic {
        if
        :: NOTED(p) && p == me -> received++
        :: NOTED(p) && p != me && heir == NOBODY -> expired++
        :: else
        fi;
        engaged[p] = false
    }
}

inline note(p, how_far)
{
    reach[p] = how_far;
    waits[p] = false;
    leaves[p] = true;
    atomic { was = word[p]; word[p] = NOTIFIED; made = made + fresh }
    if
    :: was == ASLEEP_ -> futex_wake(p)
    :: else
    fi;
    was = 0
}

#define EARLIER(p) (waits[p] && (first == NOBODY || ticket[p] < ticket[first]))

/* Sets `first` to the oldest alive that waits, or NOBODY. */
inline oldest()
{
    do
    :: atomic {
        first = NOBODY;
        if
        :: EARLIER(0) -> first = 0
        :: else
        fi;
        if
        :: EARLIER(1) -> first = 1
        :: else
        fi;
#if SLEEPERS > 2
        if
        :: EARLIER(2) -> first = 2
        :: else
        fi
#endif
       }
       if
       :: first == NOBODY || !gone[first] -> break
       :: else -> discharge(first)
       fi
    od
}

inline finish_passing()
{
    if
    :: heir != NOBODY && !NOTED(heir) -> fresh = 0; note(heir, reach[giver])
    :: else
    fi;
    if
    :: giver != NOBODY && engaged[giver] -> discharge(giver)
    :: else
    fi;
    giver = NOBODY
}

inline rebuild()
{
    agree();
#ifndef BROKEN_BUSY
    if
    :: busy ->
        atomic { /* the lists are private to the holder of the lock until the truth is in them */
            waits[0] = engaged[0] && !NOTED(0);
            waits[1] = engaged[1] && !NOTED(1);
            waits[SLEEPERS - 1] = engaged[SLEEPERS - 1] && !NOTED(SLEEPERS - 1);
            leaves[0] = engaged[0] && NOTED(0);
            leaves[1] = engaged[1] && NOTED(1);
            leaves[SLEEPERS - 1] = engaged[SLEEPERS - 1] && NOTED(SLEEPERS - 1)
        };
        if
        :: giver != NOBODY -> finish_passing()
        :: else
        fi;
        busy = false
    :: else
    fi
#endif
}

/* settle(): passes on what the dead were notified of. */
inline settle()
{
    rebuild();
#ifndef BROKEN
    i = 0;
    do
    :: i < SLEEPERS ->
        if
        :: leaves[i] && gone[i] ->
            busy = true;
            oldest();
            heir = (first != NOBODY && ticket[first] < reach[i] -> first : NOBODY);
#ifdef BROKEN_PASS
            if
            :: heir != NOBODY -> fresh = 0; note(heir, reach[i])
            :: else
            fi;
            discharge(i);
#else
            giver = i;
            finish_passing();
#endif
            busy = false;
            first = NOBODY
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0
#endif
}

proctype waiter(byte me; bool may_time_out)
{
    byte i, first, was, fresh;
    bool told, out;
    {
        first = NOBODY;
        lock();
        rebuild(); /* enter */
        busy = true;
        ticket[me] = next_ticket;
        next_ticket++;
        word[me] = WAITING;
        engaged[me] = true;
        waits[me] = true;
        busy = false;
        do
        :: owner = 0; /* unlock */
           do
           :: if
              :: may_time_out -> out = true; break
              :: true
              fi;
              atomic { /* asleep */
                if
                :: word[me] == WAITING -> word[me] = ASLEEP_
                :: else
                fi
              };
              futex_wait(me, ASLEEP_);
              if
              :: NOTED(me) -> break
              :: else
              fi;
              if
              :: ANY_DEBT -> break /* unsettled */
              :: else
              fi
           od;
           lock(); /* back */
           if
           :: !out && !told && !NOTED(me) -> settle()
           :: else
           fi;
           if
           :: out || told || NOTED(me) -> break
           :: else
           fi
        od;
        rebuild(); /* leave */
        if
        :: !NOTED(me) -> settle()
        :: else
        fi;
        busy = true;
        discharge(me);
        busy = false;
        owner = 0;
        done[me] = true
    }
    unless
    {
        killed[me] ->
            bed[me] = 0;
            if
            :: atomic { owner == me + 1 -> owner = 0; owner_died = true }
            :: else
            fi;
            gone[me] = true;
            done[me] = true
    }
}

#define COUNTS(p) (engaged[p] && !NOTED(p))

proctype notifier(byte me)
{
    byte i, first, was, fresh, n, left, there;
    bool told;
    {
        first = NOBODY;
        do
        :: n < 2 ->
            lock();
            settle();
            atomic {
                agree();
                there = COUNTS(0) + COUNTS(1) + (SLEEPERS > 2 -> COUNTS(SLEEPERS - 1) : 0)
            };
            left = NOTES;
            if
            :: NONE_WAITS
            :: else ->
                busy = true;
                do
                :: left > 0 ->
                    oldest();
                    if
                    :: first == NOBODY -> break
                    :: else -> fresh = 1; note(first, next_ticket)
                    fi;
                    left--
                :: else -> break
                od;
                busy = false
            fi;
            atomic {
                assert(died || NOTES - left == (NOTES < there -> NOTES : there));
                first = NOBODY;
                there = 0;
                left = 0
            };
            owner = 0;
            n++
        :: else -> break
        od;
        done[me] = true
    }
    unless
    {
        killed[me] ->
            if
            :: atomic { owner == me + 1 -> owner = 0; owner_died = true }
            :: else
            fi;
            gone[me] = true;
            done[me] = true
    }
}

init
{
    atomic {
        run waiter(0, false);
        run waiter(1, false);
#if SLEEPERS > 2
#ifdef TIMEOUT
        run waiter(2, true);
#else
        run waiter(2, false);
#endif
#endif
        run notifier(N - 1)
    }
}
