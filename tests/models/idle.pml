/* SPDX-License-Identifier: MIT */
/*
 * Workers without work: lib/pool/idle.c. The waitword is that of sync/waitword.h; claiming is one
 * step here (claim.pml is about that).
 *
 *   find      find_work(): takes a task, if there is one    promise  sets the bit
 *   count     count_looking(): one load                     back     take_back(): clears the bit
 *   arm       mp__waitword_arm()                            sleep    mp__futex_wait()
 *   more      mp__claim_leaves_more() in pass_on()
 *   bring     the program appends a task                    bury     mp__idle_bury()
 *   any, clear, all  in mp__waitword_wake(), whose first two accesses are one step
 *
 * The program brings TASKS tasks, one by one, and wakes for each. WORKERS take and run them; some
 * tasks have no end. A worker may promise to look before it does (wait_for_work()). One may be
 * killed before any step: a task that it has taken is lost with it, the supervisor buries it, and
 * nobody takes its place. The spinning of one who looks ends at any time.
 *
 * Property: when all is at rest no task lies there while a worker sleeps.
 *
 * check: -DWORKERS=2 -DTASKS=2 -DKILLS=0
 * check: -DWORKERS=2 -DTASKS=3 -DKILLS=0
 * check: -DWORKERS=3 -DTASKS=1 -DKILLS=0
 * check: -DWORKERS=2 -DTASKS=2 -DKILLS=1
 * broken: -DWORKERS=2 -DTASKS=2 -DKILLS=0 -DNO_PASS_ON who was looking and has found wakes nobody
 * broken: -DWORKERS=2 -DTASKS=2 -DKILLS=0 -DMORE_FIRST looks for more, then clears its bit
 * broken: -DWORKERS=1 -DTASKS=1 -DKILLS=0 -DLATE_BACK clears its bit after the last look
 * broken: -DWORKERS=1 -DTASKS=1 -DKILLS=0 -DLATE_ARM arms after the last look
 * broken: -DWORKERS=2 -DTASKS=1 -DKILLS=1 -DNO_BURIAL_WAKE the wake-up of a dead one is lost
 * broken: -DWORKERS=2 -DTASKS=1 -DKILLS=1 -DNO_BURIAL_BIT the promise of a dead one stays
 * broken: -DWORKERS=1 -DTASKS=1 -DKILLS=0 -DEARLY_WAKE the program counts before it brings
 */
#define LOOKERS 1

byte tasks;          /* that lie there */
bool looking[WORKERS];
byte word;           /* the waitword: bit 0 and a count */
bool asleep[WORKERS];
bool killed[WORKERS];
bool buried[WORKERS];
byte kills = KILLS;
bool busy[WORKERS];  /* with a task that does not end */
bool brought;        /* the program is through */

#if WORKERS == 1
#define LOOKING looking[0]
#define ASLEEP  asleep[0]
#elif WORKERS == 2
#define LOOKING (looking[0] + looking[1])
#define ASLEEP  (asleep[0] + asleep[1])
#else
#define LOOKING (looking[0] + looking[1] + looking[2])
#define ASLEEP  (asleep[0] + asleep[1] + asleep[2])
#endif

inline wake_one()
{
    if
    :: asleep[0] -> asleep[0] = false
#if WORKERS > 1
    :: asleep[1] -> asleep[1] = false
#endif
#if WORKERS > 2
    :: asleep[2] -> asleep[2] = false
#endif
    fi
}

/* mp__waitword_wake_unlocked(1) */
inline wake()
{
    if
    :: word & 1 -> /* any */
        atomic {
            if
            :: word & 1 -> word = word + 2; next = word
            :: else -> next = 0
            fi
        };
        if
        :: next != 0 ->
            if
            :: atomic { ASLEEP > 0 -> wake_one() }
            :: ASLEEP == 0 ->
                atomic { /* clear */
                    if
                    :: word == next -> word = word - 1
                    :: else -> next = 0
                    fi
                };
                if
                :: next != 0 ->
                    atomic { /* all */
                        do
                        :: ASLEEP > 0 -> wake_one()
                        :: else -> break
                        od
                    }
                :: else
                fi
            fi;
            next = 0
        :: else
        fi
    :: else
    fi
}

/* mp__idle_wake(1) */
inline wake_for_one()
{
    if
    :: LOOKING < 1 -> wake() /* count */
    :: else
    fi
}

inline find()
{
    atomic {
        if
        :: tasks > 0 -> tasks--; found = true
        :: else -> found = false
        fi
    }
}

/* With MORE_FIRST in the wrong order. What lies there may have come later, or be one of several. */
inline pass_on()
{
#ifdef MORE_FIRST
    more = tasks > 0;
    looking[me] = false;
#else
    looking[me] = false; /* back */
    more = tasks > 0;
#endif
#ifndef NO_PASS_ON
    if
    :: more && LOOKING == 0 -> wake()
    :: else
    fi;
#endif
    more = false
}

proctype worker(byte me)
{
    byte next, ticket;
    bool found, more;
    {
        do
        :: /* mp__idle_wait() */
            if
            :: looking[me] = true /* promise */
            :: skip
            fi;
            find();
            if
            :: found && !looking[me] -> skip
            :: else ->
                do
                :: found -> break
                :: else ->
                    if
                    :: looking[me] || LOOKING < LOOKERS -> /* count */
                        looking[me] = true; /* promise */
                        if
                        :: find()
                        :: skip /* it has spun for long enough */
                        fi
                    :: else
                    fi;
                    if
                    :: found -> break
                    :: else
                    fi;
#ifndef LATE_BACK
                    looking[me] = false; /* back */
#endif
#ifdef LATE_ARM
                    find();
                    atomic { word = word | 1; ticket = word };
#else
                    atomic { word = word | 1; ticket = word }; /* arm */
                    find();
#endif
                    if
                    :: found -> break
                    :: else
                    fi;
#ifdef LATE_BACK
                    looking[me] = false;
#endif
                    atomic { /* sleep */
                        if
                        :: word == ticket -> asleep[me] = true
                        :: else
                        fi;
                        ticket = 0
                    };
                    !asleep[me];
                    find()
                od;
                ticket = 0;
                pass_on()
            fi;
            found = false;
            if
            :: skip /* the task has run */
            :: busy[me] = true; false
            fi
        od
    }
    unless
    {
        atomic {
            killed[me] -> asleep[me] = false; next = 0; found = false; more = false; ticket = 0
        };
        /* bury */
#ifndef NO_BURIAL_BIT
        looking[me] = false;
#endif
#ifndef NO_BURIAL_WAKE
        wake_for_one();
#endif
        buried[me] = true
    }
}

proctype program()
{
    byte i, next;
    do
    :: i == TASKS -> break
    :: else ->
#ifdef EARLY_WAKE
        wake_for_one();
        tasks++;
#else
        tasks++; /* bring */
        wake_for_one();
#endif
        i++
    od;
    brought = true
}

#define AT_REST(p) (asleep[p] || buried[p] || busy[p])

active proctype world()
{
    do
    :: atomic {
        kills > 0 ->
            if
            :: killed[0] = true
#if WORKERS > 1
            :: killed[1] = true
#endif
#if WORKERS > 2
            :: killed[2] = true
#endif
            fi;
            kills--
       }
    :: kills > 0 -> kills = 0
    :: timeout ->
        assert(brought);
        assert(AT_REST(0));
#if WORKERS > 1
        assert(AT_REST(1));
#endif
#if WORKERS > 2
        assert(AT_REST(2));
#endif
        assert(tasks == 0 || ASLEEP == 0);
        break
    od
}

init
{
    atomic {
        run worker(0);
#if WORKERS > 1
        run worker(1);
#endif
#if WORKERS > 2
        run worker(2);
#endif
        run program()
    }
}
