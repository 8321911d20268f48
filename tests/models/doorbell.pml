/* SPDX-License-Identifier: MIT */
/*
 * The doorbell of a queue: lib/sync/doorbell.c, lib/sync/fileno.c, lib/chan/ready.c, and
 * lib/chan/put.c as far as it rings.
 *
 *   arm    mp__doorplate_arm(): the plate (doorbell.arm.plate), the list's word (doorbell.arm.armed)
 *   ring   mp__doorbells_ring(): the look at the word, ring_one(): the look at the state, the byte
 *          (doorbell.ring.sent), the state (doorbell.ring.told), the word (doorbell.ring.cleared)
 *   put    try_put(): lock, ring, publish, unlock, ring
 *   owner  an event loop by edge: it sleeps until its socket holds a byte, takes messages out until
 *          there is none, and then settles: drains, arms, looks at put_lock and at the queue
 *
 * One puts TIMES messages, another puts one; KILLS of them die anywhere, and the kernel frees the
 * lock of a dead one. The ring behind the unlock is for mp_wait()'s sake, which would look only
 * after a millisecond; AFTER leaves it out or in. An owner that finds put_lock held is modelled to wait for its release, and to look again: in
 * the library it looks again and again.
 *
 * Property: when all putters are done or dead, an owner that sleeps has no message to take.
 *
 * check: -DKILLS=0 -DAFTER=0 -DTIMES=2
 * check: -DKILLS=1 -DAFTER=0 -DTIMES=2
 * check: -DKILLS=0 -DAFTER=1
 * check: -DKILLS=2 -DAFTER=1
 * broken: -DKILLS=1 -DAFTER=1 -DBROKEN_AFTER  a putter rings only after it has published
 * broken: -DKILLS=1 -DAFTER=1 -DBROKEN_LOCK   the owner does not look at put_lock
 * broken: -DKILLS=0 -DAFTER=1 -DBROKEN_COUNT  who rings disarms whatever he finds
 * broken: -DKILLS=0 -DAFTER=1 -DBROKEN_WORD   who rings clears the word whatever it is by now
 * broken: -DKILLS=0 -DAFTER=1 -DBROKEN_LOOK   the owner looks before it arms
 * broken: -DKILLS=0 -DAFTER=1 -DBROKEN_DRAIN  an owner that is armed does not arm anew when it has drained
 */
#ifndef TIMES
#define TIMES 1
#endif

#define ARMED 1
#define ONCE  2

byte lock;     /* put_lock: its holder + 1 */
byte messages;
byte state;    /* of the owner's plate */
byte word;     /* of the list */
bool readable; /* the socket holds a byte */
bool killed[2], done[2];
bool sleeps;

inline ring()
{
    w = word;
    if
    :: w & ARMED ->
        s = state;
        if
        :: s & ARMED ->
            readable = true;
            atomic {
                if
#ifdef BROKEN_COUNT
                :: state = state & ~ARMED
#else
                :: state == s -> state = s & ~ARMED
                :: else
#endif
                fi;
                s = 0
            }
        :: else
        fi;
        atomic {
            if
#ifdef BROKEN_WORD
            :: word = word & ~ARMED
#else
            :: word == w -> word = w & ~ARMED
            :: else
#endif
            fi;
            w = 0
        }
    :: else
    fi;
    w = 0
}

proctype putter(byte me; byte times)
{
    byte w, s;
    {
        do
        :: atomic { times > 0 && lock == 0 -> lock = me + 1; times-- };
#ifndef BROKEN_AFTER
            ring();
#endif
            messages++;
            lock = 0;
#if AFTER || defined(BROKEN_AFTER)
            ring()
#endif
        :: times == 0 -> break
        od;
        done[me] = true
    }
    unless
    {
        atomic {
            killed[me] && !done[me] ->
                if
                :: lock == me + 1 -> lock = 0
                :: else
                fi;
                done[me] = true
        }
    }
}

inline arm()
{
    state = (state | ARMED) + ONCE;
    word = (word | ARMED) + ONCE
}

proctype owner()
{
    bool drained;
    byte seen;
    do
    :: /* settle: the first time it is not armed, as mp__fileno_create() does */
        drained = readable;
        readable = false;
        if
#ifdef BROKEN_DRAIN
        :: !(state & ARMED) ->
#else
        :: drained || !(state & ARMED) ->
#endif
#ifdef BROKEN_LOOK
            seen = messages;
            arm();
#else
            arm();
#endif
#ifndef BROKEN_LOCK
            if
            :: lock != 0 -> lock == 0; readable = true
            :: else
            fi;
#endif
#ifndef BROKEN_LOOK
            seen = messages;
#endif
            if
            :: seen > 0 -> readable = true
            :: else
            fi
        :: else
        fi;
        drained = false;
        sleeps = true;
        atomic { readable -> sleeps = false; seen = 0 };
        do
        :: atomic { messages > 0 -> messages-- }
        :: messages == 0 -> break
        od
    od
}

proctype killer()
{
    byte kills = KILLS;
    do
    :: atomic { kills > 0 -> killed[0] = true; kills-- }
    :: atomic { kills > 0 -> killed[1] = true; kills-- }
    :: break
    od
}

proctype judge()
{
    atomic { done[0] && done[1] && sleeps && !readable -> assert(messages == 0) }
}

init
{
    atomic {
        run putter(0, TIMES);
        run putter(1, 1);
        run owner();
        run killer();
        run judge()
    }
}
