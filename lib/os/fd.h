/* SPDX-License-Identifier: MIT */
/* Descriptors. */
#ifndef MPROC_OS_FD_H
#define MPROC_OS_FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* What a descriptor refers to: after a closefrom() its number may be somebody else's file. */
typedef struct mp__fd_identity {
    dev_t device;
    ino_t inode;
} mp__fd_identity;

/* Returns false if fd is not open. */
bool mp__fd_identify(int fd, mp__fd_identity *out);
bool mp__fd_is(int fd, const mp__fd_identity *identity);

/* Closes it, whatever errno is; nothing happens for a negative number. */
void mp__fd_close(int fd);

/* Closes it if it still is what it was. */
void mp__fd_close_own(int fd, const mp__fd_identity *identity);

/* A descriptor of ours never takes the number of a standard stream that the program has closed:
 * moves a new one above them. Returns the number, or a code; then fd is closed. Keeps
 * close-on-exec. */
int mp__fd_above_stdio(int fd);

/* Closes all descriptors from 3 on but these `count`, in any order. */
void mp__fd_close_all_but(const int *keep, size_t count);

/* Closes those from low to high. */
void mp__fd_close_between(int low, int high);

/* Makes standard input read nothing: in a child, where the parent goes on reading its own. */
void mp__fd_stdin_null(void);

/* Whether it is a terminal. */
bool mp__fd_is_terminal(int fd);

#endif
