/* SPDX-License-Identifier: MIT */
/*
 * The life record: lib/sync/life.c. One record, three threads that take it after one another as the
 * earlier die, and one that asks about an old id.
 *
 *   lock, find    mp__life_mine(): the robust lock (see mutex.pml), find_free()
 *   number        take(): the serial goes up (the step life.take.numbered)
 *   take          take(): the word is stored (life.take.taken), announced; link: it is in the list
 *   word, serial  mp__life_is_over(): the two loads, in that order
 *
 * Properties: no two hold the record; "over" is told of no id that was alive all the time; "not
 * over" of none that had ended before it was asked about; no id is given twice.
 *
 * check: -DKILLS=3
 * broken: -DKILLS=3 -DBROKEN        the serial is read before the word
 * broken: -DKILLS=3 -DBROKEN_NUMBER the word is taken before the serial goes up
 */
#define N        4
#define WORDS    1
#define LINKABLE 4
#define LOOKS    0
#define SPURIOUS 0
#define R        0

byte serial;
byte lock;      /* process + 1 */
byte alive;     /* the serial of the id that lives; 0: none; ghost */
byte given;     /* the latest id given out; ghost */
byte asked;     /* ghost: of which id somebody asks, and whether it has been over from the start */
bool was_over;

#define MAY_SLEEP(p) true /* lives */
#define AT_MARK(w)   alive = 0

#include "kernel.pml"

proctype holder(byte me)
{
    byte had;
    {
        atomic { lock == 0 -> lock = me + 1 }
        if
        :: OWNER(word[R]) == 0 -> /* find */
#ifndef BROKEN_NUMBER
            serial++; /* number */
#endif
            pending[me] = R + 1;
            atomic { /* take */
                assert(alive == 0);
                word[R] = (me + 1) | WAITERS;
#ifndef BROKEN_NUMBER
                alive = serial
#endif
            }
#ifdef BROKEN_NUMBER
            atomic { serial++; alive = serial }
#endif
            linked[me] = true; /* link */
            pending[me] = 0;
            lock = 0;
            atomic { assert(given != serial); given = serial }
            bed[me] = WORDS + 1; /* it lives */
            bed[me] == 0
        :: else -> lock = 0
        fi;
        done[me] = true
    }
    unless
    {
        killed[me] ->
            bed[me] = 0;
            kernel_entry(R);
            if
            :: pending[me] == R + 1 -> kernel_pending(R)
            :: else
            fi;
            if
            :: lock == me + 1 -> lock = 0
            :: else
            fi;
            done[me] = true
    }
}

proctype asker(byte me)
{
    byte first, second;
    {
        do
        :: given > 0 ->
            atomic { asked = given; was_over = (alive != asked) }
            if
            :: true
            :: atomic { given != asked -> was_over = true } /* it asks about an old one */
            fi;
#ifdef BROKEN
            second = serial;
            first = word[R];
#else
            first = word[R];  /* word */
            second = serial;  /* serial */
#endif
            atomic {
                if
                :: OWNER(first) == 0 || second != asked -> assert(alive != asked)
                :: else -> assert(!was_over)
                fi;
                first = 0; second = 0; asked = 0; was_over = false
            }
        :: break
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
        run holder(0);
        run holder(1);
        run holder(2);
        run asker(3)
    }
}
