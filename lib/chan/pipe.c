/* SPDX-License-Identifier: MIT */
/* mp_pipe(): a pair of packet sockets. */
#include <mproc/pipe.h>

#include "chan/connection.h"
#include "chan/packet.h"
#include "os/socket.h"

#include <mproc/error.h>

static int make_ends(mp_connection *ends[2], const int fds[2], void *states[2], bool duplex)
{
    for (int i = 0; i < 2; i++) {
        mp__connection_parts parts = {.fd = fds[i],
                                      .may_read = duplex || i == 0,
                                      .may_write = duplex || i == 1,
                                      .transport = &mp__packet_transport,
                                      .state = states[i]};
        int rc = mp__connection_make(&ends[i], &parts);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* What has become a connection goes with it. */
static void unmake(mp_connection *ends[2], const int fds[2], void *states[2])
{
    for (int i = 0; i < 2; i++) {
        if (ends[i] != NULL) {
            mp_connection_free(ends[i]);
        } else {
            mp__fd_close(fds[i]);
            mp__packet_dispose_state(states[i]);
        }
    }
}

int mp_pipe(mp_connection **a, mp_connection **b, bool duplex)
{
    if (a != NULL)
        *a = NULL;
    if (b != NULL)
        *b = NULL;
    if (a == NULL || b == NULL)
        return MP_EINVAL;

    int fds[2];
    int rc = mp__socket_pair(fds);
    if (rc < 0)
        return rc;
    /* The wrong direction ends at once also for who takes over the bare descriptors. */
    if (!duplex)
        mp__socket_end_sending(fds[0]);

    mp_connection *ends[2] = {NULL, NULL};
    void *states[2] = {NULL, NULL};
    rc = mp__packet_state_pair(fds[0], states);
    if (rc == 0)
        rc = make_ends(ends, fds, states, duplex);
    if (rc < 0) {
        unmake(ends, fds, states);
        return rc;
    }
    *a = ends[0];
    *b = ends[1];
    return 0;
}
