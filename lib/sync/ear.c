/* SPDX-License-Identifier: MIT */
#include "sync/ear.h"

#include <mproc/error.h>
#include <stdlib.h>

static mp__ear *idle; /* under the lock of os/owned.h; closed in a forked child, which finds that */

static int open_locked(mp__ear *ear)
{
    if (mp__owned_fd(&ear->socket) >= 0)
        return 0;
    mp__owned_close_locked(&ear->socket);
    int fd = mp__datagram_open(&ear->name);
    return fd < 0 ? fd : mp__owned_adopt(&ear->socket, fd);
}

int mp__ear_borrow(mp__ear **out)
{
    mp__owned_lock();
    mp__ear *ear = idle;
    idle = NULL;
    if (ear == NULL && (ear = malloc(sizeof *ear)) != NULL)
        *ear = (mp__ear){.socket = MP__OWNED_NONE};
    int rc = ear == NULL ? MP_ENOMEM : open_locked(ear);
    mp__owned_unlock();
    if (rc < 0) {
        free(ear);
        return rc;
    }
    mp__datagram_drain(ear->socket.fd);
    *out = ear;
    return 0;
}

void mp__ear_return(mp__ear *ear)
{
    mp__owned_lock();
    bool keep = idle == NULL;
    if (keep)
        idle = ear;
    else
        mp__owned_close_locked(&ear->socket);
    mp__owned_unlock();
    if (!keep)
        free(ear);
}
