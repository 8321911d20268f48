/* SPDX-License-Identifier: MIT */
/*
 * Claims: lib/pool/claim.c, with the argument in claim.h. SLOTS workers take units, one at a time,
 * from the start of their own lane and the end of others'; the third one has no lane. One may be
 * killed before any step: then the supervisor settles what it has left, and another worker takes
 * its place.
 *
 *   own, wanted  announce(), behind `none`: the item is written with the claim, for while the claim
 *                is NONE nobody asks for the item
 *   take, cut    the compare-and-swaps of a lane        held    the cutter's own
 *   help         help(): claim, work, compare-and-swap  look    find(): first, the slot's work, first
 *   finish       mp__claim_finish(): lanes; of each slot the claim, the work, and the claim again
 *   resolve      mp__claim_resolve(): claim, lane, claim; then settle() in supervisor.c
 *   stop         mp__claim_stop(), of the last work, if STOP
 *   free         the program frees the first of two works: WORKS
 *
 * ABSENT: nobody is in the second slot, but its lane is full.
 *
 * Properties: a unit runs once, or is canceled once; a work becomes done when all its units are
 * settled, and it does; no freed work is used. The serial number is not here: no two claims on a
 * work are alike.
 *
 * check: -DSLOTS=2 -DKILLS=1 -DLANE0=2 -DLANE1=3
 * check: -DSLOTS=3 -DKILLS=1 -DLANE0=1 -DLANE1=3 -DABSENT
 * check: -DSLOTS=3 -DKILLS=0 -DLANE0=0 -DLANE1=2
 * check: -DSLOTS=2 -DKILLS=1 -DLANE0=1 -DLANE1=3 -DABSENT -DSTOP
 * check: -DSLOTS=2 -DKILLS=0 -DLANE0=0 -DLANE1=2 -DSTOP
 * check: -DSLOTS=2 -DKILLS=0 -DWORKS=2 -DLANE0=1 -DLANE1=1
 * check: -DSLOTS=2 -DKILLS=1 -DWORKS=2 -DLANE0=1 -DLANE1=0
 * broken: -DSLOTS=3 -DKILLS=1 -DLANE0=0 -DLANE1=3 -DABSENT -DNO_HELP nobody is helped before the next cut
 * broken: -DSLOTS=2 -DKILLS=1 -DLANE0=0 -DLANE1=3 -DABSENT -DSTOP -DNO_HELP_IN_STOP nor before a stop
 * broken: -DSLOTS=3 -DKILLS=1 -DLANE0=0 -DLANE1=3 -DABSENT -DONE_LOOK resolve looks at the claim once
 * broken: -DSLOTS=2 -DKILLS=1 -DLANE0=1 -DLANE1=2 -DCLAIMS_FIRST finish looks at claims before lanes
 * broken: -DSLOTS=2 -DKILLS=0 -DLANE0=1 -DLANE1=2 -DLOOKS_FIRST looks before it drops its own claim
 * broken: -DSLOTS=2 -DKILLS=1 -DLANE0=1 -DLANE1=2 -DITEM_EARLY the next item is written under the old claim
 * broken: -DSLOTS=2 -DKILLS=1 -DLANE0=1 -DLANE1=2 -DNO_FINISH what a dead one has dropped is not looked at
 * broken: -DSLOTS=2 -DKILLS=0 -DWORKS=2 -DLANE0=1 -DLANE1=1 -DONE_READ finish reads a claim once, then its work
 * broken: -DSLOTS=2 -DKILLS=1 -DWORKS=2 -DLANE0=1 -DLANE1=0 -DNO_FRESH uses a work that was only looked at
 */
#ifndef WORKS
#define WORKS 1
#endif
#ifdef NO_HELP
#define NO_HELP_IN_STOP
#endif

#define LANES  2
#define UNITS  (LANE0 + LANE1)
#define NOBODY 9 /* no work */

/* A lane: start, end, mark. */
#define LANE(start, end, mark) ((start) + 8 * (end) + 64 * (mark))
#define START(l)               ((l) & 7)
#define END(l)                 ((l) >> 3 & 7)
#define MARK(l)                ((l) >> 6)
#define EMPTY(l)               (START(l) >= END(l))

/* A claim: state, lane, from. FRESH: NONE, and the slot's work was only looked at. */
#define FRESH   0
#define OWN     1
#define WANTED  2
#define HELD    3
#define DROPPED 64
#define CLAIM(state, lane, from) ((state) + 4 * (lane) + 8 * (from))
#define STATE(c)                 ((c) & 3)
#define CLAIMS_LANE(c)           ((c) >> 2 & 1)
#define FROM(c)                  ((c) >> 3 & 7)

byte lane[WORKS * LANES];
byte claim[SLOTS];
byte at[SLOTS];   /* slot->work */
byte item[SLOTS]; /* of the claim's one unit: 0 untouched, 1 running, 2 done */
byte first;
bool done[WORKS];

bool killed[SLOTS];
byte kills = KILLS;
byte left;                   /* processes that have not returned */
bool began[WORKS * UNITS];   /* ghosts: it was begun or canceled, */
bool settled[WORKS * UNITS]; /* and has ended */
bool freed[WORKS];

#define MINE    lane[w * LANES + l]
#define USED(w) assert(!freed[w])

inline help(seen)
{
    atomic { MARK(seen) != 0 -> v = claim[MARK(seen) - 1] } /* help, claim */
    if
    :: STATE(v) == WANTED && CLAIMS_LANE(v) == l && FROM(v) == END(seen) &&
       at[MARK(seen) - 1] == w -> /* work */
        atomic {
            if
            :: claim[MARK(seen) - 1] == v -> claim[MARK(seen) - 1] = v | HELD
            :: else
            fi;
            v = 0
        }
    :: else -> v = 0
    fi
}

inline look_at_lanes()
{
    l = 0;
    do
    :: atomic { fin && l < LANES && EMPTY(MINE) -> USED(w); l++ }
    :: atomic { fin && l < LANES && !EMPTY(MINE) -> USED(w); fin = false }
    :: atomic { !fin || l == LANES -> l = 0; break }
    od
}

inline look_at_claims()
{
    i = 0;
    do
    :: atomic { fin && i < SLOTS && STATE(claim[i]) == 0 -> i++ }
    :: atomic { fin && i < SLOTS && STATE(claim[i]) != 0 -> v = claim[i] }
        if
        :: atomic { at[i] != w -> i++; v = 0 }
#ifdef ONE_READ
        :: atomic { at[i] == w -> fin = false; v = 0 }
#else
        :: at[i] == w ->
            atomic {
                if
                :: claim[i] == v -> fin = false
                :: else
                fi;
                v = 0
            }
#endif
        fi
    :: atomic { !fin || i == SLOTS -> i = 0; break }
    od
}

inline finish()
{
    fin = true;
#ifdef CLAIMS_FIRST
    look_at_claims();
    look_at_lanes();
#else
    look_at_lanes();
    look_at_claims();
#endif
    atomic {
        if
        :: fin ->
            i = 0;
            do
            :: i < UNITS -> assert(settled[w * UNITS + i]); i++
            :: else -> break
            od;
            i = 0;
            done[w] = true;
            fin = false
        :: else
        fi
    }
}

inline announce(wanted)
{
#ifdef ITEM_EARLY
    item[me] = 0;
    claim[me] = wanted
#else
    claim[me] = DROPPED; /* none */
    atomic { item[me] = 0; claim[me] = wanted } /* own, wanted */
#endif
}

/* From the slot's own lane. */
inline take_own()
{
    atomic { l = me; USED(w); now = MINE };
    do
    :: !got && !EMPTY(now) ->
        announce(CLAIM(OWN, l, START(now)));
        atomic { /* take */
            if
            :: MINE == now -> MINE = now + 1; got = true
            :: else -> now = MINE
            fi
        }
    :: else -> break
    od
}

/* From the ends of the others. */
inline cut_others()
{
    l = 0;
    do
    :: l >= LANES || got -> break
    :: l == me && l < LANES -> l++
    :: else ->
        atomic { USED(w); now = MINE };
        do
        :: !got && !EMPTY(now) ->
#ifndef NO_HELP
            if
            :: MARK(now) != 0 -> help(now)
            :: else
            fi;
#endif
            announce(CLAIM(WANTED, l, END(now) - 1));
            atomic { /* cut */
                if
                :: MINE == now -> MINE = LANE(START(now), END(now) - 1, me + 1); got = true
                :: else -> now = MINE
                fi
            };
            if
            :: got -> claim[me] = claim[me] | HELD /* held: nobody else changes it but to that */
            :: else
            fi
        :: else -> break
        od;
        if
        :: !got -> l++
        :: else
        fi
    od
}

inline take_from()
{
    if
    :: me < LANES -> take_own()
    :: else
    fi;
    if
    :: !got -> cut_others()
    :: else
    fi;
    atomic { now = 0; l = 0 };
    if
    :: !got && STATE(claim[me]) != 0 ->
#ifdef LOOKS_FIRST
        finish();
        claim[me] = DROPPED
#else
        claim[me] = DROPPED;
        finish()
#endif
    :: else
    fi
}

/* The first work with units, or NOBODY. */
inline find()
{
    claim[me] = FRESH;
    do
    :: w = first; /* look */
        at[me] = w;
        if
        :: first != w -> skip
        :: else ->
            fin = true;
            look_at_lanes();
            if
            :: atomic { !fin -> break }
            :: atomic { fin && w + 1 == WORKS -> fin = false; w = NOBODY; break }
            :: atomic {
                fin && w + 1 < WORKS ->
                    fin = false;
                    if
                    :: first == w -> first = w + 1
                    :: else
                    fi
               }
            fi
        fi
    od
}

#define UNIT (w * UNITS + FROM(claim[me]))

inline run_unit()
{
    atomic { assert(!began[UNIT]); began[UNIT] = true; item[me] = 1 };
    atomic { settled[UNIT] = true; item[me] = 2; got = false }
}

/* Whether a claim that is not HELD was taken. */
#define ITS_LANE lane[w * LANES + CLAIMS_LANE(v)]
#define TAKEN                                                                                      \
    ((STATE(v) == OWN && START(ITS_LANE) > FROM(v)) ||                                             \
     (STATE(v) == WANTED && MARK(ITS_LANE) == me + 1 && END(ITS_LANE) == FROM(v)))

inline resolve()
{
    atomic { v = claim[me]; w = at[me] };
    if
    :: STATE(v) == OWN || STATE(v) == WANTED ->
        if
        :: atomic { TAKEN -> USED(w) }
            atomic {
                if
                :: claim[me] == v -> claim[me] = v | HELD
                :: else
                fi
            }
        :: atomic { !TAKEN -> USED(w) }
            if
#ifndef ONE_LOOK
            :: STATE(claim[me]) == HELD -> skip
            :: STATE(claim[me]) != HELD -> claim[me] = DROPPED
#else
            :: claim[me] = DROPPED
#endif
            fi
        fi
#ifndef NO_FRESH
    :: v == FRESH -> atomic { at[me] = NOBODY; w = NOBODY }
#endif
    :: else
    fi;
    v = 0
}

inline settle()
{
    atomic { fin = false; got = false; now = 0; l = 0; i = 0; v = 0 };
    resolve();
    if
    :: atomic { STATE(claim[me]) == HELD && item[me] == 1 -> settled[UNIT] = true; item[me] = 2 }
    :: else
    fi;
    if
    :: STATE(claim[me]) == HELD && item[me] == 2 -> claim[me] = DROPPED
    :: else
    fi;
#ifndef NO_FINISH
    if
    :: STATE(claim[me]) == 0 && w != NOBODY -> finish()
    :: else
    fi;
#endif
    if
    :: STATE(claim[me]) != HELD -> at[me] = NOBODY
    :: else
    fi
}

proctype worker(byte me)
{
    byte w, now, l, i, v;
    bool fin, got;
life:
    {
        if
        :: STATE(claim[me]) == HELD -> w = at[me]; run_unit() /* left by the last one here */
        :: else -> find()
        fi;
        do
        :: w == NOBODY -> break
        :: else ->
            take_from();
            if
            :: got -> run_unit()
            :: else -> find()
            fi
        od;
        at[me] = NOBODY;
        left--
    }
    unless
    {
        atomic { killed[me] -> killed[me] = false };
        settle();
        goto life
    }
}

#ifdef STOP
/* Cuts off all of the last work. */
proctype stop()
{
    byte w, now, l, i, v;
    bool fin;
    w = WORKS - 1;
    do
    :: l == LANES -> break
    :: else ->
        now = MINE;
        do
        :: !EMPTY(now) ->
#ifndef NO_HELP_IN_STOP
            if
            :: MARK(now) != 0 -> help(now)
            :: else
            fi;
#endif
            atomic {
                if
                :: MINE == now ->
                    MINE = LANE(START(now), START(now), 0);
                    i = START(now);
                    do
                    :: i < END(now) ->
                        assert(!began[w * UNITS + i]);
                        began[w * UNITS + i] = true;
                        settled[w * UNITS + i] = true; /* the guard keeps the program waiting */
                        i++
                    :: else -> break
                    od;
                    now = 0;
                    i = 0
                :: else -> now = MINE
                fi
            }
        :: else -> break
        od;
        l++
    od;
    finish();
    left--
}
#endif

#if WORKS > 1
/* The program: no slot gets a work that is behind the first. */
proctype program()
{
    byte i;
    done[0] && first > 0;
    do
    :: atomic { i < SLOTS && at[i] != 0 -> i++ }
    :: i == SLOTS -> break
    od;
    freed[0] = true;
    left--
}
#endif

active proctype world()
{
    byte i;
    do
    :: atomic {
        kills > 0 && left > 0 ->
            if
            :: killed[0] = true
#ifndef ABSENT
            :: killed[1] = true
#endif
#if SLOTS > 2
            :: killed[2] = true
#endif
            fi;
            kills--
       }
    :: kills > 0 -> kills = 0
    :: timeout ->
        assert(left == 0);
        do
        :: i < WORKS -> assert(done[i]); i++ /* and so all are settled */
        :: else -> break
        od;
        break
    od
}

init
{
    atomic {
        byte w;
        do
        :: w < WORKS ->
            lane[w * LANES] = LANE(0, LANE0, 0);
            lane[w * LANES + 1] = LANE(LANE0, UNITS, 0);
            w++
        :: else -> break
        od;
        w = 0;
        do
        :: w < SLOTS -> at[w] = NOBODY; w++
        :: else -> break
        od;
        left = SLOTS;
        run worker(0);
#ifndef ABSENT
        run worker(1);
#else
        left--;
#endif
#if SLOTS > 2
        run worker(2);
#endif
#ifdef STOP
        left++;
        run stop();
#endif
#if WORKS > 1
        left++;
        run program();
#endif
        w = 0
    }
}
