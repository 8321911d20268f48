/* SPDX-License-Identifier: MIT */
#include "os/signals.h"
#include "proc/registry.h"

#include <stdarg.h>
#include <stdio.h>

/* A text that grows in a buffer and stops at its end. */
typedef struct text {
    char *at;
    size_t left; /* the final NUL included */
} text;

__attribute__((format(printf, 2, 3))) static void add(text *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(t->at, t->left, format, args);
    va_end(args);
    size_t length = n < 0 ? 0 : (size_t)n;
    if (length >= t->left)
        length = t->left - 1;
    t->at += length;
    t->left -= length;
}

static void add_exitcode(text *t, int code)
{
    const char *name = code < 0 ? mp__signal_name(-code) : NULL;
    if (code == MP_EXITCODE_UNKNOWN)
        add(t, " exitcode=unknown");
    else if (name != NULL)
        add(t, " exitcode=-%s", name);
    else
        add(t, " exitcode=%d", code);
}

/* The states of a child, as its parent sees them. */
static void add_child_state(text *t, const mp_process *p)
{
    int code = mp_process_exitcode(p);
    if (mp__process_get_state(p) < MP__PROCESS_STARTED)
        add(t, " initial");
    else if (code == MP_NO_EXITCODE)
        add(t, " started");
    else {
        add(t, " stopped");
        add_exitcode(t, code);
    }
}

static void add_state(text *t, const mp_process *p)
{
    switch (mp__registry_role(p)) {
    case MP__ROLE_SELF:
        add(t, " started");
        break;
    case MP__ROLE_PARENT:
        add(t, mp_process_is_alive(p) ? " started" : " stopped");
        break;
    case MP__ROLE_CHILD:
        add_child_state(t, p);
        break;
    case MP__ROLE_FOREIGN:
        add(t, " unknown");
        break;
    }
}

const char *mp_process_repr(const mp_process *p, char *buffer, size_t size)
{
    if (buffer == NULL || size == 0)
        return "";
    text t = {buffer, size};
    if (p == NULL) {
        add(&t, "<Process NULL>");
        return buffer;
    }
    pid_t pid = mp_process_pid(p);
    pid_t parent = mp_process_parent_pid(p);
    add(&t, "<%s name='%s'", p->kind, p->name);
    if (pid != 0 && mp__registry_role(p) != MP__ROLE_SELF) /* as in Python */
        add(&t, " pid=%d", (int)pid);
    if (parent != 0)
        add(&t, " parent=%d", (int)parent);
    else
        add(&t, " parent=None");
    add_state(&t, p);
    add(&t, p->daemon ? " daemon>" : ">");
    return buffer;
}
