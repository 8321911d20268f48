/* SPDX-License-Identifier: MIT */
/*
 * The barrier: lib/sync/barrier_round.c.
 *
 *   begin, scan   arrive(): the first load of state, the loads of places
 *   same, place   the second load of state; the compare-and-swap (barrier.arrive.placed)
 *   still         the last load of state, which tells whether the claim came too late
 *   dead          any_dead(): the load of a place, then of its holder's life word
 *   end           end_round(): the compare-and-swap (barrier.end.decided)
 *   ring, toll    wake_sleepers(): its load, its compare-and-swap; ring(): bell's addition, the wake
 *   tell          tell_asleep(): load, compare-and-swap      sleep  sleep_once()
 *   left          leave() (barrier.leave.left), then the waitword of vacated places
 *   act           act(), of which only the announcement and the wake matter here
 *
 * The state's lower half is `round` (in steps of 2, and 1: broken); the marks of released rounds
 * have one bit here instead of 16, so that all that could go wrong with their width does.
 * With N > PARTIES, or RESET, there is a stale claimer in many of the runs: it loads the state, and goes on
 * rounds later. IMPATIENT: process N - 1 may give up at its deadline, and so break the round.
 * RESET=n: process 2 resets the barrier so often, and is no party.
 *
 * A sleeper rests on its look again after a death. Without a death every wake-up arrives.
 *
 * Properties: a round is released once all its parties have arrived; those whom it counted, and
 * only those, are told so, the others are told that it broke; nobody sleeps when its round is over,
 * or when a party of it has died, or when the place it waits for is free.
 *
 * long check: -DN=3 -DPARTIES=2 -DKILLS=0 -DLOOKS=0 -DSPURIOUS=0
 * check: -DN=3 -DPARTIES=3 -DKILLS=0 -DLOOKS=0 -DROUNDS=1 -DIMPATIENT -DSPURIOUS=0
 * check: -DN=3 -DPARTIES=2 -DKILLS=0 -DLOOKS=0 -DROUNDS=1 -DIMPATIENT
 * check: -DN=3 -DPARTIES=2 -DKILLS=0 -DLOOKS=0 -DRESET=1 -DROUNDS=1
 * long check: -DN=3 -DPARTIES=3 -DKILLS=1 -DLOOKS=3 -DROUNDS=1 -DSPURIOUS=0
 * long check: -DN=3 -DPARTIES=2 -DKILLS=1 -DLOOKS=3 -DROUNDS=1 -DSPURIOUS=0
 * check: -DN=2 -DPARTIES=2 -DKILLS=1 -DLOOKS=3 -DACTION
 * broken: -DN=3 -DPARTIES=3 -DKILLS=0 -DLOOKS=0 -DROUNDS=1 -DBROKEN      asleep is told after the look at the state
 * broken: -DN=3 -DPARTIES=2 -DKILLS=0 -DLOOKS=0 -DSPURIOUS=0 -DBROKEN_SAME a place is judged without a second look at the state
 */
#define WORDS    2
#define LINKABLE 1
#define BELL     0
#define VACATED  1

#define STAMP(r)   ((r) << 2)
#define HOLDER(v)  ((v) & 3)
#define IN(v, r)   (HOLDER(v) != 0 && ((v) & ~3) == STAMP(r))
#define ROW(r)     (((r) & 2) / 2 * PARTIES)
#define MARK(r)    (((r) >> 2) & 1)
#define ST2        (st / 2 & 1)

byte round = 4;
bit mark[2];            /* of the last released round, even and odd */
byte asleep;            /* the newest round of which somebody may sleep */
short place[2 * PARTIES];
bool gone[N];           /* the kernel has marked its life word */
bool announced[N];
byte eye[N];            /* whose life word a sleeper watches, too: process + 1 */
bool vacant[N];         /* whether it watches `vacated`, too, */
short seen_there[N];    /* and what was in the place that it waits for */
byte there[N];
byte at[N];             /* the round in which it sleeps */
byte owes[N];           /* ghost: the released round that has counted it */

#define GONE(v)    (HOLDER(v) != 0 && gone[HOLDER(v) - 1])
#define BAD(i, r)  (IN(place[ROW(r) + i], r) && GONE(place[ROW(r) + i]))
#if PARTIES > 2
#define DEAD_ROW(r) (BAD(0, r) || BAD(1, r) || BAD(2, r))
#else
#define DEAD_ROW(r) (BAD(0, r) || BAD(1, r))
#endif
#define MAY_SLEEP(p) (round == at[p] && !DEAD_ROW(at[p]) &&                                        \
    (!vacant[p] || (place[there[p]] == seen_there[p] && !GONE(seen_there[p]))))

#include "kernel.pml"

#ifndef ROUNDS
#define ROUNDS 2
#endif

inline toll()
{
    word[BELL] = (word[BELL] + 1) & 3;
    futex_wake_all(BELL)
}

/* ring: wakes who sleeps in round r. */
inline ring(r)
{
    d = asleep;
    if
    :: d != 0 ->
        if
        :: d <= r ->
            atomic {
                if
                :: asleep == d -> asleep = 0
                :: else
                fi
            }
        :: else
        fi;
        toll()
    :: else
    fi;
    d = 0
}

/* The next round's number. */
#define NEXT(r)  ((r) & ~1) + 2
#define AFTER(r) (mark[(NEXT(r)) / 2 & 1] == MARK(NEXT(r)) -> (NEXT(r)) + 4 : (NEXT(r)))

inline owe(i)
{
    w = place[ROW(st) + i];
    assert(IN(w, st));
    assert(owes[HOLDER(w) - 1] == 0);
    owes[HOLDER(w) - 1] = st
}

inline break_round()
{
    atomic { /* end */
        if
        :: round == st -> round = AFTER(st) | 1; ok = true
        :: else -> ok = false
        fi
    };
    if
    :: ok -> ring(st)
    :: else
    fi
}

/* dead: ok tells whether one in the places [from, upto) is. */
inline any_dead(from, upto)
{
    ok = false;
    j = from;
    do
    :: j < upto && !ok ->
        w = place[ROW(st) + j];
        if
        :: IN(w, st) -> ok = gone[HOLDER(w) - 1]
        :: else
        fi;
        j++
    :: else -> break
    od;
    j = 0;
    w = 0
}

/* sleep_once(); outside: waits for a place that holds v. */
inline sleep_once(outside)
{
    b = word[BELL];
    w = place[ROW(st) + PARTIES - 1];
    d = 0;
    ok = true;
    if
    :: IN(w, st) -> d = HOLDER(w); ok = !gone[d - 1]
    :: else
    fi;
    w = 0;
    if
    :: ok && outside && i < PARTIES ->
        atomic { word[VACATED] = word[VACATED] | 1; t = word[VACATED] }
        ok = (place[ROW(st) + i] == v)
    :: else
    fi;
    if
    :: ok ->
#ifdef BROKEN
        ok = (round == st);
#endif
        e = asleep; /* tell */
        do
        :: e < st ->
            atomic {
                if
                :: asleep == e -> asleep = st; break
                :: else -> e = asleep
                fi
            }
        :: else -> break
        od;
        e = 0;
#ifndef BROKEN
        ok = (round == st)
#endif
    :: else
    fi;
    if
    :: ok ->
        atomic { /* sleep */
            if
            :: word[BELL] == b && (d == 0 || !gone[d - 1]) && (t == 0 || word[VACATED] == t) ->
                bed[me] = BELL + 1;
                eye[me] = d;
                vacant[me] = (t != 0);
                at[me] = st;
                if
                :: t != 0 -> there[me] = ROW(st) + i; seen_there[me] = v
                :: else
                fi
            :: else
            fi
            ok = false; t = 0; d = 0
        }
        atomic {
            bed[me] == 0;
            eye[me] = 0; vacant[me] = 0; at[me] = 0; there[me] = 0; seen_there[me] = 0
        }
        slept = true;
        if
        :: round != st -> /* over; did the ender not ring? */
            if
            :: word[BELL] == b -> toll()
            :: else
            fi
        :: else
        fi
    :: else -> t = 0; d = 0
    fi;
    b = 0
}

inline leave()
{
    place[ROW(st) + i] = STAMP(st); /* left */
    w = word[VACATED];
    do
    :: w & 1 ->
        atomic {
            if
            :: word[VACATED] == w ->
                word[VACATED] = ((w & ~1) + 2) & 15;
                w = 1
            :: else -> w = word[VACATED]; ok = true
            fi
        };
        if
        :: ok -> ok = false
        :: else ->
            atomic {
                do
                :: vacant[0] && bed[0] -> bed[0] = 0
                :: vacant[1] && bed[1] -> bed[1] = 0
#if N > 2
                :: vacant[2] && bed[2] -> bed[2] = 0
#endif
                :: else -> break
                od
            };
            break
        fi
    :: else -> break
    od;
    w = 0
}

#if PARTIES > 2
#define OWE_ALL owe(0); owe(1)
#define OWE_LAST owe(2)
#else
#define OWE_ALL owe(0)
#define OWE_LAST owe(1)
#endif

proctype party(byte me; byte rounds; bool impatient)
{
    byte st, i, j, b, d, e, t;
    short v, w;
    bool ok, slept;
    {
        announced[me] = true;
        do
        :: rounds > 0 ->
begin:      st = round;
            if
            :: st & 1 -> break /* broken */
            :: else
            fi;
            i = 0;
scan:       if
            :: i < PARTIES ->
                v = place[ROW(st) + i];
                if
                :: IN(v, st) -> i++; goto scan
                :: else
                fi
            :: else
            fi;
#ifndef ACTION
            if
            :: i + 1 == PARTIES ->
                any_dead(0, i);
                if
                :: ok ->
                    break_round();
                    if
                    :: ok -> ok = false; rounds--; goto next
                    :: else -> goto begin
                    fi
                :: else
                fi;
                atomic { /* end */
                    if
                    :: round == st ->
                        OWE_ALL;
                        round = AFTER(st);
                        mark[ST2] = MARK(st);
                        w = 0;
                        ok = true
                    :: else -> ok = false
                    fi
                };
                if
                :: ok -> ok = false; ring(st)
                :: else -> goto begin
                fi;
                rounds--;
                goto next
            :: else
            fi;
#endif
            if
            :: i == PARTIES || (HOLDER(v) != 0 && !gone[HOLDER(v) - 1]) ->
                any_dead(0, PARTIES);
                if
                :: ok -> break_round()
                :: !ok && impatient -> break_round()
                :: !ok -> sleep_once(true)
                fi;
                ok = false;
                goto begin
            :: else
            fi;
#ifndef BROKEN_SAME
            if
            :: round == st /* same */
            :: else -> goto begin
            fi;
#endif
            atomic { /* place */
                if
                :: place[ROW(st) + i] == v -> place[ROW(st) + i] = STAMP(st) + me + 1; v = 0
                :: else -> goto begin
                fi
            };
            if
            :: (round == st || mark[ST2] == MARK(st)) /* still */
            :: else -> leave(); goto begin
            fi;
#ifdef ACTION
            if
            :: i + 1 == PARTIES ->
                any_dead(0, i);
                if
                :: !ok ->
                    announced[me] = false; /* act */
                    if
                    :: asleep != 0 -> futex_wake(BELL)
                    :: else
                    fi;
                    announced[me] = true;
                    any_dead(0, i)
                :: else
                fi;
                if
                :: ok -> break_round(); ok = false
                :: else ->
                    atomic {
                        if
                        :: round == st ->
                            OWE_ALL;
                            OWE_LAST;
                            round = AFTER(st);
                            mark[ST2] = MARK(st);
                            w = 0;
                            ok = true
                        :: else
                        fi
                    };
                    if
                    :: ok -> ok = false; ring(st)
                    :: else
                    fi
                fi
            :: else -> goto wait
            fi;
            goto out;
#endif
wait:       do
            :: round != st -> break
            :: else ->
                if
                :: slept -> any_dead(0, PARTIES)
                :: else -> any_dead((i > 0 -> i - 1 : 0), i)
                fi;
                if
                :: ok -> break_round()
                :: !ok && impatient -> break_round()
                :: !ok -> sleep_once(false)
                fi;
                ok = false
            od;
out:        atomic {
                if
                :: mark[ST2] == MARK(st) -> assert(owes[me] == st)
                :: else -> assert(owes[me] != st)
                fi;
                owes[me] = 0
            };
            leave();
            slept = false;
            rounds--;
next:       skip
        :: else -> break
        od;
        announced[me] = false;
        done[me] = true
    }
    unless
    {
        killed[me] ->
            bed[me] = 0;
            vacant[me] = 0;
            eye[me] = 0;
            gone[me] = true;
            atomic {
                if
                :: eye[0] == me + 1 && bed[0] -> bed[0] = 0
                :: eye[1] == me + 1 && bed[1] -> bed[1] = 0
#if N > 2
                :: eye[2] == me + 1 && bed[2] -> bed[2] = 0
#endif
                :: else
                fi
            };
            if
            :: announced[me] -> futex_wake(BELL)
            :: else
            fi;
            done[me] = true
    }
}

/* mp__barrier_mend() of a barrier that is whole. */
proctype resetter(byte me; byte times)
{
    byte st, d;
    bool ok;
    {
        announced[me] = true;
        do
        :: times > 0 ->
            st = round;
            atomic {
                if
                :: round == st -> round = AFTER(st); ok = true
                :: else -> ok = false
                fi
            };
            if
            :: ok -> ok = false; ring(st); times--
            :: else
            fi
        :: else -> break
        od;
        announced[me] = false;
        done[me] = true
    }
    unless
    {
        killed[me] ->
            gone[me] = true;
            if
            :: announced[me] -> futex_wake(BELL)
            :: else
            fi;
            done[me] = true
    }
}

init
{
    atomic {
        run party(0, ROUNDS, false);
#ifdef IMPATIENT
        run party(1, ROUNDS, N == 2);
#else
        run party(1, ROUNDS, false);
#endif
#if N > 2
#ifdef RESET
        run resetter(2, RESET)
#elif defined IMPATIENT
        run party(2, 1, true)
#else
        run party(2, 1, false)
#endif
#endif
    }
}
