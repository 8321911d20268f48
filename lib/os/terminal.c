/* SPDX-License-Identifier: MIT */
#include "os/terminal.h"

#include "os/fd.h"

#include <errno.h>
#include <sys/ioctl.h>

#define USUAL 80

int mp__terminal_columns(int fd)
{
    if (!mp__fd_is_terminal(fd))
        return 0;
    int saved = errno;
    struct winsize size;
    bool told = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    errno = saved;
    return told ? size.ws_col : USUAL;
}
