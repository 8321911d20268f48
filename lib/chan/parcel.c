/* SPDX-License-Identifier: MIT */
/* What a handle's packets need: lanes, locks, and files for what is large. */
#include "chan/parcel.h"

#include "base/bits.h"
#include "chan/packet.h"
#include "os/page.h"
#include "os/socket.h"
#include "os/spill.h"

#include <mproc/defs.h>
#include <mproc/error.h>
#include <stdlib.h>

#define INLINE_MOST ((size_t)64 * 1024) /* of a message, in its packet */

/* In shared memory: two lanes, or for an end that was taken over one lock. */
struct mp__lanes {
    void *memory;
    size_t size;
    _Atomic uint32_t handles;
};

#define LANE_SPAN                                                                                  \
    ((MP__LANE_SIZE + MP__CACHE_LINE - 1) / MP__CACHE_LINE * MP__CACHE_LINE) /* from one to next */

static mp__lanes *lanes_new(size_t size, uint32_t handles)
{
    mp__lanes *l = calloc(1, sizeof *l);
    if (l == NULL)
        return NULL;
    l->memory = mp__page_new(size);
    l->size = size;
    mp__store_relaxed(&l->handles, handles);
    if (l->memory != NULL)
        return l;
    free(l);
    return NULL;
}

static void lanes_drop(mp__lanes *l, uint32_t handles)
{
    if (mp__add_seq(&l->handles, -handles) != handles)
        return;
    mp__page_free(l->memory, l->size);
    free(l);
}

static mp__lane *lane_at(const mp__lanes *l, int which)
{
    return (mp__lane *)(void *)((char *)l->memory + (size_t)which * LANE_SPAN);
}

static mp__packets *packets_new(int fd, mp__lanes *l)
{
    mp__packets *p = calloc(1, sizeof *p);
    if (p == NULL)
        return NULL;
    size_t most = mp__socket_packet_most(fd) - sizeof(mp__parcel);
    *p = (mp__packets){.lanes = l,
                       .receiving = l->memory,
                       .inline_most = mp__min_size(most, INLINE_MOST),
                       .rests = MP__LIST(p->rests)};
    return p;
}

int mp__packet_state_pair(int fd, void *states[2])
{
    mp__lanes *l = lanes_new(2 * LANE_SPAN, 2);
    if (l == NULL)
        return MP_ENOMEM;
    /* Before anybody forks: whoever has the lanes then has the lives that they tell of. */
    bool has_lives = mp_init() == 0;
    for (int i = 0; i < 2; i++) {
        mp__lane_init(lane_at(l, i));
        if (!has_lives)
            mp__lane_retire(lane_at(l, i));
    }
    mp__packets *ends[2] = {packets_new(fd, l), packets_new(fd, l)};
    if (ends[0] == NULL || ends[1] == NULL) {
        free(ends[0]);
        free(ends[1]);
        lanes_drop(l, 2);
        return MP_ENOMEM;
    }
    for (int i = 0; i < 2; i++) {
        ends[i]->in = lane_at(l, i);
        ends[i]->out = lane_at(l, 1 - i);
        ends[i]->receiving = &ends[i]->in->receiving;
        states[i] = ends[i];
    }
    return 0;
}

int mp__packet_state(int fd, void **out)
{
    mp__lanes *l = lanes_new(sizeof(mp__mutex), 1);
    if (l == NULL)
        return MP_ENOMEM;
    *out = packets_new(fd, l);
    if (*out != NULL)
        return 0;
    lanes_drop(l, 1);
    return MP_ENOMEM;
}

void mp__packet_dispose_state(void *given)
{
    mp__packets *p = given;
    if (p == NULL)
        return;
    mp__list_for_each (link, &p->rests)
        free(mp__container(link, mp__rest, link));
    lanes_drop(p->lanes, 1);
    free(p);
}

int mp__rest_new(mp_connection *c, mp__rest **out, bool carried)
{
    mp__rest *r = malloc(sizeof *r);
    if (r == NULL)
        return MP_ENOMEM;
    mp__owned_lock();
    int rc = carried ? mp__socket_peek_carried(c->fd) : mp__spill_new();
    if (rc >= 0)
        rc = mp__owned_adopt(&r->file, rc);
    if (rc >= 0)
        mp__list_append(&mp__packets_of(c)->rests, &r->link);
    mp__owned_unlock();
    if (rc < 0)
        free(r);
    else
        *out = r;
    return rc;
}

void mp__rest_free(mp__rest *r)
{
    if (r == NULL)
        return;
    mp__owned_lock();
    mp__owned_close_locked(&r->file);
    mp__list_remove(&r->link);
    mp__owned_unlock();
    free(r);
}
