/* SPDX-License-Identifier: MIT */
/*
 * What all models share: processes that may be killed before any step, futexes, the kernel's walk
 * over a dead thread's robust list, and a world that looks for sleepers that nobody will ever wake.
 *
 * A model defines N (processes, at most 4), WORDS, KILLS (deaths, at most), SPURIOUS (returns from
 * a sleep for no reason, at most), LOOKS (how often sleepers may look again, see below), and
 * MAY_SLEEP(p): whether p, which sleeps, is right to sleep for ever.
 *
 * Memory is sequentially consistent here. The code's other orders publish data under a lock or a
 * compare-and-swap; wherever a store must come before a look at another word, the code says
 * seq_cst, and the models' order of steps is that of the code.
 *
 * Every step of a model is one atomic operation, load or store of shared memory in the code, with
 * the private work before and after it. A killed process makes no further step of its own: what
 * follows its `unless` is the kernel, one step for each word it marks and each wake.
 */

#ifndef SPURIOUS
#define SPURIOUS 1
#endif
#ifndef AT_MARK
#define AT_MARK(w) skip /* ghosts: the kernel marks a word */
#endif
#ifndef AT_END
#define AT_END skip /* checks, when all is over */
#endif

#define DIED    64
#define WAITERS 128
#define OWNER(v) ((v) & 63)

byte word[WORDS];      /* a robust word: process + 1, with DIED and WAITERS */
byte bed[N];           /* the word on which a process sleeps, + 1; 0: awake */
bool killed[N];
bool done[N];          /* it has returned, or the kernel has finished with it */
byte pending[N];       /* list_op_pending: a word + 1 */
bool linked[LINKABLE]; /* [p * WORDS + w]: in p's robust list */
byte kills = KILLS;
byte spurious = SPURIOUS;
byte looks;
bool died;             /* somebody has */

/* A sleeper of word w, of those that there are, wakes. */
inline wake_one(w)
{
    if
    :: bed[0] == w + 1 -> bed[0] = 0
    :: bed[1] == w + 1 -> bed[1] = 0
#if N > 2
    :: bed[2] == w + 1 -> bed[2] = 0
#endif
#if N > 3
    :: bed[3] == w + 1 -> bed[3] = 0
#endif
    :: else
    fi
}

#if N > 3
#define ASLEEP(w) ((bed[0] == w + 1) + (bed[1] == w + 1) + (bed[2] == w + 1) + (bed[3] == w + 1))
#elif N > 2
#define ASLEEP(w) ((bed[0] == w + 1) + (bed[1] == w + 1) + (bed[2] == w + 1))
#else
#define ASLEEP(w) ((bed[0] == w + 1) + (bed[1] == w + 1))
#endif

inline wake_all(w)
{
    do
    :: ASLEEP(w) > 0 -> wake_one(w)
    :: else -> break
    od
}

/* mp__futex_wake(word, 1). Who is woken may be killed, and not yet know. */
inline futex_wake(w)
{
    atomic { wake_one(w) }
}

inline futex_wake_all(w)
{
    atomic { wake_all(w) }
}

/* mp__futex_wait(): compares and goes to bed in one step. */
inline futex_wait(w, expected)
{
    atomic {
        if
        :: word[w] == expected -> bed[me] = w + 1
        :: else
        fi
    }
    bed[me] == 0
}

/* The kernel's handle_futex_death() for one entry of the list. */
inline kernel_entry(w)
{
    if
    :: atomic {
        linked[me * WORDS + w] && OWNER(word[w]) == me + 1 ->
            AT_MARK(w);
            had = word[w] & WAITERS;
            word[w] = had | DIED
       }
       if
       :: had -> futex_wake(w)
       :: else
       fi
    :: else
    fi
}

/* And for list_op_pending. Kernels before 6.1 look whether the word is 0, not only the owner. */
#ifdef OLD_KERNEL
#define UNOWNED(v) ((v) == 0)
#else
#define UNOWNED(v) (OWNER(v) == 0)
#endif

inline kernel_pending(w)
{
    if
    :: atomic { UNOWNED(word[w]) -> had = 1 }
       futex_wake(w)
    :: atomic {
        OWNER(word[w]) == me + 1 ->
            AT_MARK(w);
            had = word[w] & WAITERS;
            word[w] = had | DIED
       }
       if
       :: had -> futex_wake(w)
       :: else
       fi
    :: else
    fi
}

/* A look again: one sleeper that should not sleep looks, as all do every 100 ms. */
#define LOST(p) (bed[p] != 0 && !(MAY_SLEEP(p)))

inline let_look()
{
    if
    :: LOST(0) -> bed[0] = 0
    :: LOST(1) -> bed[1] = 0
#if N > 2
    :: LOST(2) -> bed[2] = 0
#endif
#if N > 3
    :: LOST(3) -> bed[3] = 0
#endif
    fi
}

#define MAY_KILL(p) (!done[p] && !killed[p])

#if N > 3
#define SOMEBODY_LOST (LOST(0) || LOST(1) || LOST(2) || LOST(3))
#define ALL_AT_REST ((done[0] || bed[0]) && (done[1] || bed[1]) && (done[2] || bed[2]) && \
                     (done[3] || bed[3]))
#elif N > 2
#define SOMEBODY_LOST (LOST(0) || LOST(1) || LOST(2))
#define ALL_AT_REST ((done[0] || bed[0]) && (done[1] || bed[1]) && (done[2] || bed[2]))
#else
#define SOMEBODY_LOST (LOST(0) || LOST(1))
#define ALL_AT_REST ((done[0] || bed[0]) && (done[1] || bed[1]))
#endif

/*
 * Kills, wakes for no reason, and, when nobody else can make a step, checks that everybody has
 * either returned or sleeps with reason. Where somebody sleeps without reason, that is an error if
 * nobody has died: then the normal protocol has lost a wake-up. After a death, sleepers may look
 * again (which the code does every 100 ms), at most LOOKS times in a run; more would be for ever.
 */
active proctype world()
{
    do
    :: atomic {
        kills > 0 ->
            if
            :: MAY_KILL(0) -> killed[0] = true
            :: MAY_KILL(1) -> killed[1] = true
#if N > 2
            :: MAY_KILL(2) -> killed[2] = true
#endif
#if N > 3
            :: MAY_KILL(3) -> killed[3] = true
#endif
            fi
            kills--;
            died = true
       }
    :: kills > 0 -> kills = 0
    :: atomic {
        spurious > 0 ->
            if
            :: bed[0] != 0 -> bed[0] = 0
            :: bed[1] != 0 -> bed[1] = 0
#if N > 2
            :: bed[2] != 0 -> bed[2] = 0
#endif
#if N > 3
            :: bed[3] != 0 -> bed[3] = 0
#endif
            fi
            spurious--
       }
    :: spurious > 0 -> spurious = 0
    :: timeout ->
        assert(ALL_AT_REST); /* else a deadlock */
        if
        :: SOMEBODY_LOST ->
            assert(died);          /* else a lost wake-up without any death */
            assert(looks < LOOKS); /* else it sleeps, looks and sleeps, for ever */
            atomic { looks++; let_look() }
        :: else -> break
        fi
    od;
    AT_END
}
