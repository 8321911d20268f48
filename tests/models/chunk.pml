/* SPDX-License-Identifier: MIT */
/*
 * The allocator's table of chunks: lib/shm/chunk.c. Its lock is that of mutex.pml, in one step.
 *
 *   claim     mp__chunk_claim(): find_free(), `top`, a TAIL for each chunk (shared.table.claimed)
 *   publish   mp__run_alloc(): the head's descriptor
 *   release   mp__chunk_release(): the head first (shared.table.head_released), then the tails
 *   repair    free_orphans(), by whoever is told that the last holder of the lock died
 *
 * Each process allocates a run of 2 chunks, the first one of 1, too, and frees the former; one may die
 * before any step.
 *
 * Properties: no chunk is in two runs; whoever gets the lock, and has repaired, finds whole runs,
 * free chunks and nothing else; a death leaks no more than the runs of the dead.
 *
 * check: -DKILLS=1
 * broken: -DKILLS=1 -DBROKEN       a run is published before its tails
 * broken: -DKILLS=1 -DBROKEN_ORDER the tails of a run are released before its head
 */
#define N        3
#define WORDS    1
#define LINKABLE 1
#define LOOKS    0
#define SPURIOUS 0
#define CHUNKS   8

#define FREE     0
#define TAIL     8  /* + distance to the head */
#define RUN      16 /* + length */

byte owner;
bool owner_died;
byte table[CHUNKS];
byte top;
byte holder[CHUNKS]; /* ghost: process + 1 that a chunk was given to */

#define MAY_SLEEP(p) false

#include "kernel.pml"

inline unlock()
{
    owner = 0
}

inline lock()
{
    atomic { owner == 0 -> owner = me + 1; told = owner_died; owner_died = false };
    i = 0;
    do
    :: told && i < top ->
        if
        :: (table[i] & 24) == TAIL -> table[i] = FREE; i++
        :: (table[i] & 24) == RUN -> i = i + (table[i] & 7)
        :: table[i] == FREE -> i++
        fi
    :: else -> break
    od;
    atomic { /* what is there now */
        i = 0;
        do
        :: i < top && table[i] == FREE -> assert(holder[i] == 0 || done[holder[i] - 1] ||
                                                 killed[holder[i] - 1]); i++
        :: i < top && table[i] != FREE ->
            assert((table[i] & 24) == RUN);
            n = table[i] & 7;
            j = 1;
            do
            :: j < n -> assert(table[i + j] == TAIL + j); j++
            :: else -> break
            od;
            i = i + n
        :: else -> break
        od;
        assert(i == top);
        i = 0; j = 0; n = 0
    }
}

inline alloc(count, at)
{
    lock();
    at = 0; /* claim; the table changes under the lock alone */
    do
    :: at < top && (table[at] != FREE ||
                    (count == 2 && at + 1 < top && table[at + 1] != FREE)) -> at++
    :: else -> break
    od;
    if
    :: at + count > top -> top = at + count
    :: else
    fi;
    assert(top <= CHUNKS);
#ifdef BROKEN
    table[at] = RUN + count;
#endif
    i = 0;
    do
    :: i < count ->
#ifdef BROKEN
        if
        :: i > 0 -> table[at + i] = TAIL + i
        :: else
        fi;
#else
        table[at + i] = TAIL + i;
#endif
        i++
    :: else -> break
    od;
    table[at] = RUN + count; /* publish */
    unlock();
    atomic { /* it is given to the caller */
        i = 0;
        do
        :: i < count -> assert(holder[at + i] == 0 || killed[holder[at + i] - 1]);
                        holder[at + i] = me + 1; i++
        :: else -> break
        od;
        i = 0
    }
}

inline free(count, at)
{
    atomic {
        i = 0;
        do
        :: i < count -> assert(holder[at + i] == me + 1); holder[at + i] = 0; i++
        :: else -> break
        od;
        i = 0
    };
    lock();
    assert(table[at] == RUN + count);
#ifdef BROKEN_ORDER
    i = count;
    do
    :: i > 0 -> i--; table[at + i] = FREE
    :: else -> break
    od;
#else
    i = 0;
    do
    :: i < count -> table[at + i] = FREE; i++
    :: else -> break
    od;
#endif
    i = 0;
    unlock()
}

proctype user(byte me)
{
    byte i, j, n, x, y;
    bool told;
    {
        alloc(2, x);
        if
        :: me == 0 -> alloc(1, y)
        :: else
        fi;
        free(2, x);
        done[me] = true
    }
    unless
    {
        killed[me] ->
            if
            :: atomic { owner == me + 1 -> owner = 0; owner_died = true }
            :: else
            fi;
            done[me] = true
    }
}

init
{
    atomic {
        run user(0);
        run user(1);
        run user(2)
    }
}
