/* SPDX-License-Identifier: MIT */
/*
 * A descriptor is a doorbell (sync/doorbell.c) that stays registered until it is released. Its
 * owner is not known to look at it; so it is made unready whenever a call of this process finds
 * that there is nothing: drained, armed anew, and rung by ourselves if a last look finds something
 * after all. If nothing was in it and it is armed, whatever comes will ring: nothing is to be done.
 *
 * Signal handlers may come here (mp_event_clear()), so the guard is only tried. Who finds it taken
 * leaves a note, and tries once more; who gives it back looks for notes. Otherwise a descriptor
 * might stay ready and unarmed, which one who waits for edges would never notice.
 *
 * A forked child has none of its parent's descriptors: they are closed there (os/owned.c), and the
 * list is emptied. The guard comes before that of os/owned.c: it is registered later, and so taken
 * earlier around a fork.
 */
#include "sync/fileno.h"

#include "os/atfork.h"
#include "os/guard.h"
#include "os/owned.h"
#include "os/pollset.h"
#include "os/step.h"

#include <mproc/error.h>
#include <mproc/wait.h>
#include <stdlib.h>

_Atomic uint32_t mp__fileno_count;

#define BUCKETS 64

typedef struct entry {
    struct entry *next;
    int fd; /* what the program was given */
    mp__owned socket, set;
    mp__datagram_name name;
    mp__doorplate *plate; /* NULL: the object was freed */
    mp__fileno_source source;
} entry;

static mp__guard guard = MP__GUARD_INITIALIZER; /* of all that follows but the note */
static entry *buckets[BUCKETS];
static entry *dead; /* of a parent process */
static _Atomic bool note;

static entry **bucket_of(const mp__doorbells *bells)
{
    return &buckets[((uintptr_t)bells >> 4) * 0x9E3779B1u >> 8 & (BUCKETS - 1)];
}

/* ---- Settling. */

/* What comes after this rings; what has come makes it ready at once. */
static void arm(const entry *e)
{
    mp__doorplate_arm(e->source.bells, e->plate);
    if (e->source.ready(e->source.object))
        mp__datagram_send_from(e->socket.fd, e->name);
}

static void settle(const entry *e)
{
    int fd = mp__owned_fd(&e->socket);
    if (fd < 0 || e->plate == NULL)
        return;
    if (mp__datagram_drain(fd) || !mp__doorplate_is_armed(e->plate))
        arm(e);
}

/* NULL: all. */
static void settle_some(const mp__doorbells *bells)
{
    if (bells != NULL) {
        for (entry *e = *bucket_of(bells); e != NULL; e = e->next)
            if (e->source.bells == bells)
                settle(e);
        return;
    }
    for (int i = 0; i < BUCKETS; i++)
        for (entry *e = buckets[i]; e != NULL; e = e->next)
            settle(e);
}

static void give_back(void)
{
    mp__guard_unlock(&guard);
    /* Behind the unlock; pairs with the note that comes before a try. */
    mp__fence_seq();
    while (mp__load_relaxed(&note) && mp__guard_try(&guard)) {
        if (mp__exchange_seq(&note, false))
            settle_some(NULL);
        mp__guard_unlock(&guard);
        mp__fence_seq();
    }
}

void mp__fileno_settle_all(const mp__doorbells *bells)
{
    if (!mp__guard_try(&guard)) {
        mp__store_seq(&note, true);
        mp__fence_seq();
        if (!mp__guard_try(&guard))
            return;
    }
    settle_some(bells);
    give_back();
}

/* ---- The list. */

/* Takes an entry out of the list: its socket is closed, and it is freed. */
static void drop(entry **at)
{
    entry *e = *at;
    *at = e->next;
    mp__sub_relaxed(&mp__fileno_count, 1);
    if (e->plate != NULL)
        mp__doorplate_leave(e->plate, e->name);
    mp__owned_close(&e->set);
    mp__owned_close(&e->socket);
    free(e);
}

/* Where the entry with this number is, or NULL. */
static entry **find(int fd)
{
    for (int i = 0; i < BUCKETS; i++)
        for (entry **at = &buckets[i]; *at != NULL; at = &(*at)->next)
            if ((*at)->fd == fd)
                return at;
    return NULL;
}

/* Whether it is what it was: the program may have closed it by itself. */
static bool is_whole(const entry *e)
{
    return mp__owned_fd(&e->socket) >= 0 && (e->source.also < 0 || mp__owned_fd(&e->set) >= 0);
}

/* Returns the number for the program, or a code. */
static int open_both(entry *e)
{
    int fd = mp__datagram_open(&e->name);
    int rc = fd < 0 ? fd : mp__owned_adopt(&e->socket, fd);
    if (rc < 0 || e->source.also < 0)
        return rc < 0 ? rc : e->socket.fd;
    int set = mp__pollset_open(e->socket.fd, e->source.also);
    rc = set < 0 ? set : mp__owned_adopt(&e->set, set);
    return rc < 0 ? rc : e->set.fd;
}

static int fill(entry *e)
{
    mp__owned_lock();
    e->fd = open_both(e);
    mp__owned_unlock();
    if (e->fd < 0)
        return e->fd;
    return mp__doorbells_join(e->source.bells, e->name, true, &e->plate);
}

static void insert(entry *e)
{
    entry **at = find(e->fd);
    if (at != NULL) /* the program has closed it by itself */
        drop(at);
    at = bucket_of(e->source.bells);
    e->next = *at;
    *at = e;
    mp__add_relaxed(&mp__fileno_count, 1);
    arm(e);
}

static void free_the_dead(void)
{
    while (dead != NULL) {
        entry *e = dead;
        dead = e->next;
        free(e);
    }
}

int mp__fileno_create(const mp__fileno_source *source)
{
    entry *e = malloc(sizeof *e);
    if (e == NULL)
        return MP_ENOMEM;
    *e = (entry){.socket = MP__OWNED_NONE, .set = MP__OWNED_NONE, .source = *source};
    int rc = fill(e);
    if (rc < 0) {
        mp__owned_close(&e->set);
        mp__owned_close(&e->socket);
        free(e);
        return rc;
    }
    rc = e->fd;
    mp__guard_lock(&guard);
    free_the_dead();
    insert(e);
    give_back();
    return rc;
}

void mp__fileno_forget(const mp__doorbells *bells)
{
    if (mp__load_relaxed(&mp__fileno_count) == 0)
        return;
    mp__guard_lock(&guard);
    for (entry *e = *bucket_of(bells); e != NULL; e = e->next)
        if (e->source.bells == bells && e->plate != NULL) {
            mp__doorplate_leave(e->plate, e->name);
            e->plate = NULL;
        }
    give_back();
}

int mp_fileno_release(int fd)
{
    int rc = MP_EINVAL;
    mp__guard_lock(&guard);
    entry **at = fd < 0 ? NULL : find(fd);
    if (at != NULL) {
        rc = is_whole(*at) ? 0 : MP_EINVAL;
        drop(at);
    }
    give_back();
    return rc;
}

/* ---- Forks. */

static void before_fork(void)
{
    mp__guard_lock(&guard);
}

static void after_fork_parent(void)
{
    give_back();
}

static void after_fork_child(void)
{
    for (int i = 0; i < BUCKETS; i++)
        while (buckets[i] != NULL) {
            entry *e = buckets[i];
            buckets[i] = e->next;
            e->next = dead;
            dead = e;
        }
    mp__store_relaxed(&mp__fileno_count, 0);
    mp__guard_unlock(&guard);
}

__attribute__((constructor)) static void install_hook(void)
{
    static mp__atfork hook = {
        .prepare = before_fork, .parent = after_fork_parent, .child = after_fork_child};
    if (mp__owned_init() == 0)
        mp__atfork_add(&hook);
}
