/* SPDX-License-Identifier: MIT */
/*
 * The ring: lib/chan/ring.c and ring_take.c, with the argument in ring.c.
 *
 *   lock    put_lock; the kernel marks a dead owner's, at any time later, and who takes it repairs
 *   fits    fits(), with head_seen                   append   append_segment(), its four stores
 *   write   write_record(), two stores               publish  the store of tail
 *   locate  its loads, each a step                   copy     mp__ring_copy(), two loads
 *   take    the compare-and-swap of head             follow   mp__ring_follow()
 *
 * A message is a unit and has two halves, that are stored and loaded one by one; a segment has
 * UNITS of them. Blocks of memory become segments, are freed, overwritten by whoever has them then,
 * and become segments again; a tag makes head_segment another word each time. PUTTERS put PUTS
 * messages each, TAKERS take until there are none and nobody puts any more. KILLS of them die
 * anywhere.
 * tail_seen, fillers, limits, blocks and wrapped positions are left out.
 *
 * Properties: who succeeds in taking has the message that was put there, whole, and is the only one
 * (so each is taken once, and in order); borders that are believed are those of a segment, and of
 * head's; head_segment goes from each segment to the next one; nobody writes to what is no segment;
 * at the end all was taken, and no memory is lost but what the dead had in hand.
 *
 * long check: -DKILLS=0 -DPUTTERS=1 -DPUTS=4 -DUNITS=1
 * check: -DKILLS=0 -DPUTTERS=1 -DPUTS=5 -DUNITS=2
 * check: -DKILLS=1 -DPUTTERS=2 -DPUTS=2 -DUNITS=1 -DTAKERS=1
 * long check: -DKILLS=1 -DPUTTERS=1 -DPUTS=3 -DUNITS=1
 * broken: -DKILLS=0 -DPUTTERS=1 -DPUTS=3 -DUNITS=1 -DPUBLISH_FIRST published before it is written
 * broken: -DKILLS=0 -DPUTTERS=1 -DPUTS=3 -DUNITS=1 -DFREE_FIRST freed before head_segment moves on
 * broken: -DKILLS=0 -DPUTTERS=1 -DPUTS=4 -DUNITS=1 -DNO_TAG head_segment is the same word again
 * broken: -DKILLS=0 -DPUTTERS=1 -DPUTS=3 -DUNITS=1 -DNO_RECHECK borders are believed unseen
 * broken: -DKILLS=0 -DPUTTERS=1 -DPUTS=3 -DUNITS=1 -DNO_COMPARE head is stored, not compared
 * broken: -DKILLS=0 -DPUTTERS=1 -DPUTS=3 -DUNITS=1 -DNO_HEAD room is believed to be there
 * broken: -DKILLS=1 -DPUTTERS=2 -DPUTS=2 -DUNITS=1 -DTAKERS=1 -DNO_REPAIR nobody looks for a link
 * broken: -DKILLS=1 -DPUTTERS=2 -DPUTS=2 -DUNITS=1 -DTAKERS=1 -DEARLY follows to nothing
 */
#ifndef TAKERS
#define TAKERS 2
#endif
#define N        (PUTTERS + TAKERS)
#define BLOCKS   3
#define MOST     (PUTTERS * PUTS)
#define FREE     0
#define MADE     254 /* not linked yet */
#define DEAD     255 /* put_lock is a dead one's */
#define JUNK     7
#define NONE     255

bool killed[N], done[N];
byte kills = KILLS;

/* Memory: what a segment is made of; and a ghost, its place in the chain from 1 on, or FREE. */
byte first[BLOCKS], next[BLOCKS], end[BLOCKS], place[BLOCKS];
byte low[BLOCKS * UNITS], high[BLOCKS * UNITS];

/* The ring. A block's number + 1 is its distance. */
byte lock, tail_segment, head_seen, tail, head;
byte head_segment, tag;

byte put[MOST + 1]; /* ghosts: the message that was published at each position, + 1 */
byte chain = 1;     /* segments that were linked */
byte lost;          /* blocks that the dead had in hand */
bool in_hand[N];

#define UNIT(s, at) ((s) * UNITS + ((at) - first[s]) % UNITS)

/* A block for a segment. */
inline allocate()
{
    atomic {
        if
        :: place[0] == FREE -> s = 0
        :: place[0] != FREE && place[1] == FREE -> s = 1
        :: place[0] != FREE && place[1] != FREE && place[2] == FREE -> s = 2
        :: else -> s = NONE
        fi;
        if
        :: s != NONE -> place[s] = MADE; in_hand[me] = true
        :: else
        fi
    }
}

/* A block goes, and perhaps is written over at once. */
inline give_back(b)
{
    atomic {
        assert(place[b] != FREE);
        place[b] = FREE;
        in_hand[me] = false;
        if
        :: first[b] = JUNK; next[b] = JUNK; end[b] = JUNK
        :: skip
        fi
    }
}

proctype putter(byte me)
{
    byte i, at, s, old;
    {
        do
        :: i == PUTS -> break
        :: else ->
            atomic {
                lock == 0 || lock == DEAD;
                old = lock;
                lock = me + 1;
                assert(place[tail_segment] != FREE)
            };
#ifndef NO_REPAIR
            if
            :: old == DEAD && next[tail_segment] != 0 -> tail_segment = next[tail_segment] - 1
            :: else
            fi;
#endif
            atomic { at = tail; s = tail_segment; old = 0; assert(place[s] != FREE) };
            if /* fits: a unit is free */
            :: at - (head_seen > first[s] -> head_seen : first[s]) < UNITS
            :: else ->
#ifdef NO_HEAD
                head_seen = at;
#else
                head_seen = head;
#endif
                if
                :: at - (head_seen > first[s] -> head_seen : first[s]) < UNITS
                :: else ->
                    old = s + 1; /* append */
                    allocate();
                    if
                    :: s != NONE ->
                        atomic { first[s] = at; next[s] = 0; end[s] = 0 };
                        end[old - 1] = at;
                        atomic {
                            next[old - 1] = s + 1;
                            chain++;
                            place[s] = chain;
                            in_hand[me] = false
                        };
                        tail_segment = s
                    :: else
                    fi;
                    old = 0
                fi
            fi;
            if
            :: s == NONE -> atomic { lock = 0; i++ } /* MP_ENOMEM */
            :: else ->
#ifdef PUBLISH_FIRST
                atomic { put[at] = me * PUTS + i + 1; tail = at + 1 };
#endif
                atomic { assert(place[s] != FREE); low[UNIT(s, at)] = me * PUTS + i + 1 };
                high[UNIT(s, at)] = me * PUTS + i + 1; /* write */
#ifndef PUBLISH_FIRST
                atomic { put[at] = me * PUTS + i + 1; tail = at + 1 }; /* publish */
#endif
                atomic { lock = 0; i++ }
            fi
        od;
        atomic { done[me] = true; i = 0; at = 0; s = 0 }
    }
    unless
    {
        killed[me] ->
        atomic {
            if
            :: lock == me + 1 -> lock = DEAD
            :: else
            fi;
            lost = lost + in_hand[me];
            done[me] = true
        }
    }
}

/* All putters have put, or are dead. */
#if PUTTERS > 1
#define PUT_ALL (done[0] && done[1])
#else
#define PUT_ALL done[0]
#endif

proctype taker(byte me)
{
    byte from, s, mark, f, n, e, a, b;
    bool taken, more;
    {
        do
        ::
            atomic { s = head_segment; mark = tag }; /* locate */
            from = head;
            more = tail > from;
#ifndef EARLY
            if
            :: !more -> goto wait
            :: else
            fi;
#endif
            f = first[s];
            n = next[s];
            e = end[s];
            atomic {
#ifndef NO_RECHECK
                if
                :: head_segment != s || tag != mark -> goto on
                :: else
                fi;
#endif
                assert(place[s] != FREE && f == first[s] && (n == 0 || n == next[s]) &&
                       (n == 0 || e == end[s]))
            };
            if
            :: n != 0 && from >= e -> /* follow */
#ifdef FREE_FIRST
                if
                :: place[s] != FREE -> give_back(s)
                :: else
                fi;
#endif
                atomic {
                    if
                    :: head_segment == s && tag == mark ->
                        assert(place[n - 1] == place[s] + 1);
                        head_segment = n - 1;
#ifndef NO_TAG
                        tag++;
#endif
                        taken = true;
                        in_hand[me] = true
                    :: else
                    fi
                };
#ifndef FREE_FIRST
                if
                :: taken -> give_back(s)
                :: else
                fi;
#endif
                taken = false
#ifdef EARLY
            :: !more && !(n != 0 && from >= e) -> goto wait
#endif
            :: else ->
                atomic { a = low[s * UNITS + (from - f) % UNITS] }; /* copy */
                atomic { b = high[s * UNITS + (from - f) % UNITS] };
                atomic { /* take */
                    if
#ifdef NO_COMPARE
                    :: true ->
#else
                    :: head == from ->
#endif
                        assert(from < tail);
                        assert(head == from);
                        assert(a == put[from] && b == put[from]);
                        head = from + 1
                    :: else
                    fi
                }
            fi;
            goto on;
wait:
            if
            :: atomic { head == tail && PUT_ALL -> break }
            :: tail > from || head != from
#ifdef EARLY
            :: next[s] != n
#endif
            fi;
on:
            atomic { more = false; from = 0; s = 0; mark = 0; f = 0; n = 0; e = 0; a = 0; b = 0 }
        od;
        done[me] = true
    }
    unless
    {
        killed[me] ->
        atomic { lost = lost + in_hand[me]; done[me] = true }
    }
}

#define MAY_KILL(p) (!done[p] && !killed[p])

active proctype world()
{
    byte live;
    do
    :: atomic {
        kills > 0 ->
            if
            :: MAY_KILL(0) -> killed[0] = true
            :: MAY_KILL(1) -> killed[1] = true
#if PUTTERS + TAKERS > 2
            :: MAY_KILL(2) -> killed[2] = true
#endif
            fi
            kills--
       }
    :: kills > 0 -> kills = 0
    :: timeout -> break
    od;
    atomic {
        assert(done[0] && done[1]);
#if PUTTERS + TAKERS > 2
        assert(done[2]);
#endif
        /* A taker that is left has taken all. */
#if TAKERS > 1
        assert(head == tail || (killed[PUTTERS] && killed[PUTTERS + 1]));
#else
        assert(head == tail || killed[PUTTERS]);
#endif
        assert(place[head_segment] != FREE && place[tail_segment] != FREE || lock == DEAD);
        /* From head's segment to the last all are in the chain; others are free, or lost. */
        live = (place[0] != FREE) + (place[1] != FREE) + (place[2] != FREE);
        assert(live <= 1 + chain - place[head_segment] + lost)
    }
}

init
{
    atomic {
        place[0] = 1;
        run putter(0);
#if PUTTERS > 1
        run putter(1);
#endif
#if TAKERS > 1
        run taker(PUTTERS + 1);
#endif
        run taker(PUTTERS)
    }
}
