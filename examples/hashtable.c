/* SPDX-License-Identifier: MIT */
/* A hash table in shared memory, filled by several processes, cut into stripes with a lock each. A
 * process may be killed in the middle of a change, with the lock: who gets that next is told
 * (MP_OWNERDEAD) and puts the stripe right. That can be done because put() writes in such an order
 * that one thing says what is true: a slot counts if it is full. The main process replaces a filler
 * that was killed; the new one goes on where that one was. One kills itself here, to show it. */
#include "support.h"

#include <signal.h>
#include <string.h>

enum { KEYS = 200000, FATAL = 12321 * 12321, FILLERS = 4, STRIPES = 64, SLOTS = 4096, LENGTH = 32 };

struct stripe {
    mp_lock lock;
    int used; /* how many slots are full */
    struct slot {
        char key[LENGTH];
        long value;
        _Atomic bool full; /* written last, and so never too early */
    } slots[SLOTS];
};

struct table {
    struct stripe stripes[STRIPES];
    _Atomic long next[FILLERS]; /* the key that each filler is at */
    _Atomic int killed, repaired;
};
static struct table *table;
static mp_process *fillers[FILLERS];

static uint64_t hash(const char *key)
{
    uint64_t h = 0xcbf29ce484222325; /* FNV-1a */
    for (; *key != '\0'; key++)
        h = (h ^ (unsigned char)*key) * 0x100000001b3;
    return h;
}

static void repair(struct stripe *stripe)
{
    stripe->used = 0;
    for (int i = 0; i < SLOTS; i++)
        stripe->used += stripe->slots[i].full;
    table->repaired++;
}

/* Acquires the lock of a key's stripe, and returns the slot that has the key, or else the one where
 * it belongs; NULL if there is no room. */
static struct slot *enter(const char *key, struct stripe **stripe)
{
    uint64_t h = hash(key);
    *stripe = &table->stripes[h % STRIPES];
    int rc = mp_lock_acquire(&(*stripe)->lock, MP_FOREVER);

    check(rc, "mp_lock_acquire");
    if (rc == MP_OWNERDEAD)
        repair(*stripe);
    for (uint64_t i = 0; i < SLOTS; i++) {
        struct slot *slot = &(*stripe)->slots[(h / STRIPES + i) % SLOTS];
        if (!slot->full || strcmp(slot->key, key) == 0)
            return slot;
    }
    return NULL;
}

static int put(const char *key, long value)
{
    struct stripe *stripe;
    struct slot *slot = enter(key, &stripe);

    if (slot != NULL)
        slot->value = value;
    if (slot != NULL && !slot->full) {
        snprintf(slot->key, LENGTH, "%s", key);
        slot->full = true;
        if (value == FATAL && table->killed == 0)
            raise(SIGKILL); /* with the lock, and before it is counted */
        stripe->used++;
    }
    CHECK(mp_lock_release(&stripe->lock));
    return slot != NULL ? 0 : MP_ENOMEM;
}

/* Returns the value, or -1 if the key is not there. */
static long get(const char *key)
{
    struct stripe *stripe;
    const struct slot *slot = enter(key, &stripe);
    long value = slot != NULL && slot->full ? slot->value : -1;

    CHECK(mp_lock_release(&stripe->lock));
    return value;
}

/* Puts every fourth key, with its square. */
static int fill(void *arg)
{
    _Atomic long *next = arg;
    char key[LENGTH];

    for (; *next < KEYS; *next += FILLERS) {
        snprintf(key, sizeof key, "key %ld", *next);
        CHECK(put(key, *next * *next));
    }
    return 0;
}

static void start(int i)
{
    void *next = (void *)&table->next[i];
    CHECK(mp_process_new(&fillers[i], .target = fill, .arg = next, .daemon = MP_YES));
    CHECK(mp_process_start(fillers[i]));
}

int main(void)
{
    long right = 0, used = 0, code;
    char key[LENGTH];

    table = mp_shared_calloc(1, sizeof *table);
    CHECK(mp_shared_error());
    for (int i = 0; i < STRIPES; i++)
        CHECK(mp_lock_init(&table->stripes[i].lock));
    for (int i = 0; i < FILLERS; i++) {
        table->next[i] = i;
        start(i);
    }
    for (int i = 0; i < FILLERS; i += code == 0) {
        CHECK(mp_process_join(fillers[i], MP_FOREVER));
        code = mp_process_exitcode(fillers[i]);
        CHECK(mp_process_free(fillers[i]));
        CHECK(code > 0 ? MP_ETASK : 0);
        table->killed += code < 0;
        if (code < 0)
            start(i); /* which puts the key that was in hand again: that does no harm */
    }
    for (long i = 0; i < KEYS; i++) {
        snprintf(key, sizeof key, "key %ld", i);
        right += get(key) == i * i;
    }
    for (int i = 0; i < STRIPES; i++) {
        used += table->stripes[i].used;
        CHECK(mp_lock_fini(&table->stripes[i].lock));
    }
    printf("fillers killed: %d, stripes repaired: %d\n", table->killed, table->repaired);
    printf("keys right: %ld, counted: %ld\n", right, used);
    mp_shared_free(table);
    return right == KEYS && used == KEYS ? EXIT_SUCCESS : EXIT_FAILURE;
}
