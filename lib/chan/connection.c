/* SPDX-License-Identifier: MIT */
/*
 * Handles of connections. Why a descriptor is never closed under a thread that uses it:
 *
 * - A call first counts itself in `calls`, then looks at `closed`; mp_connection_close() first sets
 *   `closed`, then looks at `calls`; all four with seq_cst order. So either the call sees that the
 *   connection is closed and leaves, or the closer sees the call and waits for it. Blocked calls
 *   look at `closed` at least every 100 ms; the last one to leave wakes the closer.
 * - A forked child has one thread, so that no call of its parent's other threads is in progress
 *   there: the atfork hook sets the counts to 0. The thread that forks may itself be in a call,
 *   when a signal handler forks; in the child its call then leaves with the count at 0 already,
 *   which is why leaving does not count below 0.
 * - A fork amidst a close: the hook completes it in the child, where the closing thread is missing.
 * - A number is closed only if it still is our file (the program may have used closefrom()).
 *
 * The hook is registered when the library is loaded: a lock for doing it later could itself be held
 * by another thread at a fork, and then stay locked in the child.
 */
#include "chan/connection.h"

#include "base/options.h"
#include "chan/frame.h"
#include "chan/packet.h"
#include "os/atfork.h"
#include "os/clock.h"
#include "os/futex.h"
#include "os/guard.h"
#include "os/interrupt.h"
#include "os/owned.h"
#include "os/poller.h"
#include "os/socket.h"

#include <mproc/error.h>
#include <stdlib.h>

#define MAGIC 0x6e6f434du /* a live handle */

/* Of `closed`: 0 while it is open. */
#define CLOSING 1
#define CLOSED  2

static mp__guard guard = MP__GUARD_INITIALIZER; /* of the list; held over every fork */
static mp__link handles = MP__LIST(handles);
static int hook_result;

static void finish_close(mp_connection *c)
{
    if (c->transport->leave != NULL)
        c->transport->leave(c);
    mp__fd_close_own(c->fd, &c->identity);
    mp__store_relaxed(&c->closed, CLOSED);
}

static void before_fork(void)
{
    mp__guard_lock(&guard);
}

static void after_fork_parent(void)
{
    mp__guard_unlock(&guard);
}

static void after_fork_child(void)
{
    mp__list_for_each (link, &handles) {
        mp_connection *c = mp__container(link, mp_connection, link);
        c->transport->forked(c);
        mp__store_relaxed(&c->calls, 0);
        if (mp__load_relaxed(&c->closed) == CLOSING) /* by another thread: so is this copy */
            finish_close(c);
    }
    mp__guard_unlock(&guard);
}

__attribute__((constructor)) static void install_hook(void)
{
    static mp__atfork hook = {
        .prepare = before_fork, .parent = after_fork_parent, .child = after_fork_child};
    hook_result = mp__owned_init();
    if (hook_result == 0)
        hook_result = mp__atfork_add(&hook);
}

int mp__connection_make(mp_connection **out, const mp__connection_parts *parts)
{
    if (hook_result != 0)
        return hook_result;
    mp_connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return MP_ENOMEM;
    if (!mp__fd_identify(parts->fd, &c->identity)) {
        free(c);
        return MP_EINVAL;
    }
    c->magic = MAGIC;
    c->fd = parts->fd;
    c->may_read = parts->may_read;
    c->may_write = parts->may_write;
    c->transport = parts->transport;
    c->state = parts->state;
    mp__guard_lock(&guard);
    mp__list_append(&handles, &c->link);
    mp__guard_unlock(&guard);
    *out = c;
    return 0;
}

static bool is_handle(const mp_connection *c)
{
    return c != NULL && c->magic == MAGIC;
}

int mp__connection_enter(mp_connection *c, bool reads, bool writes)
{
    if (!is_handle(c))
        return MP_EINVAL;
    mp__add_seq(&c->calls, 1); /* before the look: pairs with mp_connection_close() */
    if (mp__load_seq(&c->closed) != 0) {
        mp__connection_leave(c);
        return MP_ECLOSED;
    }
    if ((reads && !c->may_read) || (writes && !c->may_write)) {
        mp__connection_leave(c);
        return MP_ESTATE;
    }
    return 0;
}

void mp__connection_leave(mp_connection *c)
{
    uint32_t calls = mp__load_relaxed(&c->calls);
    while (calls > 0 && !mp__cas_seq(&c->calls, &calls, calls - 1))
        continue;
    /* Pairs with the closer, which sets `closed` before it looks at `calls`. */
    if (calls == 1 && mp__load_seq(&c->closed) != 0)
        mp__futex_wake(&c->calls, 1);
}

int mp__connection_await(mp_connection *c, bool for_writing, mp__deadline until)
{
    if (mp__deadline_passed(until))
        return MP_ETIMEDOUT;
    int rc = mp__poll_one(c->fd, for_writing ? POLLOUT : POLLIN, mp__deadline_look_again(until));
    if (mp__connection_is_closed(c))
        return MP_ECLOSED;
    if (rc == MP_EINVAL)
        return MP_ESYS(EBADF);
    return rc < 0 ? rc : 0;
}

/* What every blocking call does first. Returns 0, then the call is entered. */
static int begin(mp_connection *c, double timeout, bool writes, mp__deadline *until)
{
    if (!is_handle(c))
        return MP_EINVAL;
    int rc = mp__deadline_in(timeout, until);
    if (rc == 0)
        rc = mp__connection_enter(c, !writes, writes);
    if (rc == 0 && until->ns != 0 && mp__interrupted()) {
        mp__connection_leave(c);
        rc = MP_EINTR;
    }
    return rc;
}

static ssize_t receive(mp_connection *c, mp__receipt *receipt, double timeout)
{
    mp__deadline until;
    ssize_t rc = begin(c, timeout, false, &until);
    if (rc < 0)
        return rc;
    do
        rc = c->transport->receive(c, receipt, until);
    while (rc == MP_ETIMEDOUT && (rc = mp__connection_await(c, false, until)) == 0);
    mp__connection_leave(c);
    return rc;
}

ssize_t mp_connection_recv(mp_connection *c, void *buffer, size_t capacity, double timeout)
{
    if (buffer == NULL && capacity > 0)
        return MP_EINVAL;
    return receive(c, &(mp__receipt){MP__WANT_BYTES, buffer, capacity}, timeout);
}

ssize_t mp_connection_next_size(mp_connection *c, double timeout)
{
    return receive(c, &(mp__receipt){.want = MP__WANT_SIZE}, timeout);
}

int mp_connection_recv_alloc(mp_connection *c, void **data, size_t *length, double timeout)
{
    if (data == NULL || length == NULL)
        return MP_EINVAL;
    *data = NULL;
    *length = 0;
    mp__receipt receipt = {.want = MP__WANT_MEMORY};
    ssize_t rc = receive(c, &receipt, timeout);
    if (rc < 0)
        return (int)rc;
    *data = receipt.buffer;
    *length = (size_t)rc;
    return 0;
}

int mp_connection_recv_fd(mp_connection *c, double timeout)
{
    return (int)receive(c, &(mp__receipt){.want = MP__WANT_DESCRIPTOR}, timeout);
}

/* One look whether there is a message or the end. Returns 1, 0 or a code. */
static int look(mp_connection *c, mp__deadline until)
{
    if (c->transport->pending(c))
        return 1;
    if (!c->transport->hides)
        return mp__poll_one(c->fd, POLLIN, MP__AT_ONCE);
    ssize_t rc = c->transport->receive(c, &(mp__receipt){.want = MP__WANT_SIZE}, until);
    if (rc == MP_ETIMEDOUT || rc == MP_EAGAIN)
        return 0;
    return rc == MP_EINTR || rc == MP_ESYS(EBADF) ? (int)rc : 1;
}

int mp_connection_poll(mp_connection *c, double timeout)
{
    mp__deadline until;
    int rc = begin(c, timeout, false, &until);
    if (rc < 0)
        return rc;
    do
        rc = look(c, until);
    while (rc == 0 && (rc = mp__connection_await(c, false, until)) == 0);
    if (mp__connection_is_closed(c))
        rc = MP_ECLOSED;
    mp__connection_leave(c);
    if (rc == MP_ETIMEDOUT)
        return 0;
    return rc == MP_EINVAL ? MP_ESYS(EBADF) : rc;
}

int mp_connection_send(mp_connection *c, const void *data, size_t length, double timeout)
{
    if ((data == NULL && length > 0) || length > PTRDIFF_MAX)
        return MP_EINVAL;
    mp__deadline until;
    int rc = begin(c, timeout, true, &until);
    if (rc < 0)
        return rc;
    rc = c->transport->send(c, data, length, until);
    mp__connection_leave(c);
    return rc;
}

/* Connections of this process whose descriptor is about to be sent. */
static void retire(int fd)
{
    mp__fd_identity identity;
    if (!mp__fd_identify(fd, &identity))
        return;
    mp__guard_lock(&guard);
    mp__list_for_each (link, &handles) {
        mp_connection *c = mp__container(link, mp_connection, link);
        if (c->transport->retire != NULL && c->identity.inode == identity.inode &&
            c->identity.device == identity.device)
            c->transport->retire(c);
    }
    mp__guard_unlock(&guard);
}

int mp_connection_send_fd(mp_connection *c, int fd, double timeout)
{
    if (!mp__fd_is_open(fd))
        return MP_EINVAL;
    mp__deadline until;
    int rc = begin(c, timeout, true, &until);
    if (rc < 0)
        return rc;
    retire(fd);
    rc = c->transport->send_fd(c, fd, until);
    mp__connection_leave(c);
    return rc;
}

int mp_connection_fileno(const mp_connection *c)
{
    if (!is_handle(c))
        return MP_EINVAL;
    return mp__connection_is_closed(c) ? MP_ECLOSED : c->fd;
}

bool mp_connection_closed(const mp_connection *c)
{
    return !is_handle(c) || mp__connection_is_closed(c);
}

bool mp_connection_readable(const mp_connection *c)
{
    return !mp_connection_closed(c) && c->may_read;
}

bool mp_connection_writable(const mp_connection *c)
{
    return !mp_connection_closed(c) && c->may_write && mp__load_relaxed(&c->ended_writing) == 0;
}

int mp_connection_close(mp_connection *c)
{
    if (!is_handle(c))
        return MP_EINVAL;
    /* Before the look at `calls`: pairs with enter and leave. */
    uint32_t open = 0;
    if (!mp__cas_seq(&c->closed, &open, CLOSING))
        return 0;
    uint32_t calls;
    while ((calls = mp__load_seq(&c->calls)) != 0)
        mp__futex_wait(&c->calls, calls, mp__deadline_in_ns(MP__LOOK_AGAIN_NS));
    finish_close(c);
    return 0;
}

void mp_connection_free(mp_connection *c)
{
    if (!is_handle(c))
        return;
    mp_connection_close(c);
    mp__guard_lock(&guard);
    mp__list_remove(&c->link);
    mp__guard_unlock(&guard);
    c->transport->dispose(c);
    c->magic = 0;
    free(c);
}

/* Turns MP_YES, MP_NO or nothing into what was opened, less what is not wanted. */
static int direction(int asked, bool opened, bool *out)
{
    if (asked != 0 && asked != MP_YES && asked != MP_NO)
        return MP_EINVAL;
    if (asked == MP_YES && !opened)
        return MP_EINVAL;
    *out = opened && asked != MP_NO;
    return 0;
}

static int read_options(mp__connection_parts *parts, const mp_connection_options *given)
{
    mp_connection_options options;
    int rc = mp__options_read(&options, sizeof options, given);
    if (rc == 0)
        rc = direction(options.readable, parts->may_read, &parts->may_read);
    if (rc == 0)
        rc = direction(options.writable, parts->may_write, &parts->may_write);
    if (rc == 0 && !parts->may_read && !parts->may_write)
        rc = MP_EINVAL;
    return rc;
}

static int choose_transport(mp__connection_parts *parts, enum mp__channel channel)
{
    if (channel == MP__CHANNEL_PACKET) {
        parts->transport = &mp__packet_transport;
        return mp__packet_state(parts->fd, &parts->state);
    }
    parts->transport = &mp__frame_transport;
    return mp__frame_state(parts->fd, channel == MP__CHANNEL_SOCKET, &parts->state);
}

int mp_connection_create(mp_connection **out, int fd, const mp_connection_options *options)
{
    if (out == NULL)
        return MP_EINVAL;
    *out = NULL;
    mp__connection_parts parts = {.fd = fd};
    enum mp__channel channel = mp__channel_of(fd, &parts.may_read, &parts.may_write);
    if (channel == MP__CHANNEL_NONE)
        return MP_EINVAL;
    int rc = read_options(&parts, options);
    if (rc == 0)
        rc = choose_transport(&parts, channel);
    if (rc < 0)
        return rc;
    rc = mp__connection_make(out, &parts);
    if (rc == 0)
        mp__fd_set_cloexec(fd);
    else
        parts.transport->dispose(&(mp_connection){.state = parts.state});
    return rc;
}
