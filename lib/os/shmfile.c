/* SPDX-License-Identifier: MIT */
/*
 * Why a creator's death, or failure, leaves nothing half-done.
 *
 * The file is made without a name (O_TMPFILE), gets its mapping, its memory and its length, and
 * then, with one linkat(), its name. Until then the kernel frees it with its last descriptor; from
 * then on it is whole. So who attaches finds all of it or nothing.
 *
 * Where there are no unnamed files, or no /proc to name them by, the name comes first, as in
 * Python, and the length last: before that step the file is empty, and attaching is MP_EAGAIN. A
 * failure removes the name again; a death leaves an empty file.
 *
 * The path is that of the C library's shm_open(), which cannot make unnamed files.
 */
#include "os/shmfile.h"

#include "base/bits.h"
#include "os/limits.h"
#include "os/owned.h"
#include "os/step.h"

#include <errno.h>
#include <fcntl.h>
#include <mproc/error.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#define DIRECTORY "/dev/shm"

/* No result of a call: the file could not be made without a name here. */
#define CANNOT 1

/* What is reserved by one call: a signal makes the kernel begin the call again. */
#define PORTION ((size_t)1 << 20)

/* From here on it is worth looking whether the machine has so much. */
#define LARGE ((size_t)1 << 24)

typedef struct path {
    char text[sizeof DIRECTORY "/" + MP__SHMFILE_NAME_MOST];
} path;

static path path_of(const char *name)
{
    path p;
    snprintf(p.text, sizeof p.text, DIRECTORY "/%s", name);
    return p;
}

static int code_of(int cause)
{
    return cause == ENOSPC ? MP_ENOMEM : MP_ESYS(cause); /* of memory, not of a disk */
}

/* A forked child of another thread does not keep the descriptor. */
static int open_owned(mp__owned *slot, const char *where, int flags)
{
    *slot = MP__OWNED_NONE;
    int rc = mp__owned_init();
    if (rc < 0)
        return rc;
    mp__owned_lock();
    int fd = open(where, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | flags, 0600);
    rc = fd < 0 ? code_of(errno) : mp__owned_adopt(slot, fd);
    mp__owned_unlock();
    if (fd >= 0 && rc < 0 && (flags & O_CREAT))
        unlink(where);
    return rc;
}

/* Growing a file beyond the limit would raise SIGXFSZ, whose default is death. */
static bool fits_limit(size_t length)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY ||
           length <= limit.rlim_cur;
}

/* What the system could give now without killing anybody, in bytes; UINT64_MAX: not known. */
static uint64_t available_memory(void)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[128];
    unsigned long long ram = 0, swap = 0;
    bool known = false;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "MemAvailable: %llu kB", &ram) == 1)
            known = true;
        sscanf(line, "SwapFree: %llu kB", &swap);
    }
    if (f != NULL)
        fclose(f);
    return known ? (ram + swap) * 1024 : UINT64_MAX;
}

/* So that a request that cannot be met does not take all there is from others before it fails. */
static bool has_room(int fd, size_t length)
{
    struct statvfs s;
    bool known = fstatvfs(fd, &s) == 0 && s.f_blocks != 0 && s.f_frsize != 0;
    if (known && length / s.f_frsize + (length % s.f_frsize != 0) > s.f_bavail)
        return false;
    return length < LARGE || (length <= available_memory() && length <= mp__limits_memory());
}

/* Takes the memory. The file keeps its length of 0. */
static int reserve(int fd, size_t length)
{
    if (!has_room(fd, length))
        return MP_ENOMEM;
    for (size_t at = 0; at < length;) {
        size_t n = mp__min_size(PORTION, length - at);
        if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)at, (off_t)n) == 0)
            at += n;
        else if (errno == EOPNOTSUPP || errno == ENOSYS)
            return 0; /* what is mounted there takes memory its own way */
        else if (errno != EINTR)
            return code_of(errno);
    }
    return 0;
}

static int map(mp__shmfile *file, int fd, size_t length)
{
    void *base = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (base == MAP_FAILED)
        return MP_ESYS(errno);
    file->base = base;
    file->length = length;
    return 0;
}

/* All that a new file needs, its length last. */
static int fill(mp__shmfile *file, const mp__owned *slot, size_t length, bool sparse)
{
    int rc = map(file, slot->fd, length);
    if (rc < 0)
        return rc;
    MP_STEP("shared_memory.create.mapped");
    rc = sparse ? 0 : reserve(slot->fd, length);
    MP_STEP("shared_memory.create.reserved");
    if (rc == 0 && ftruncate(slot->fd, (off_t)length) != 0)
        rc = code_of(errno);
    if (rc < 0) {
        mp__shmfile_unmap(file->base, length);
        return rc;
    }
    MP_STEP("shared_memory.create.sized");
    file->identity = slot->identity;
    return 0;
}

static int give_name(const mp__owned *slot, const char *where)
{
    char unnamed[64];
    snprintf(unnamed, sizeof unnamed, "/proc/self/fd/%d", slot->fd);
    if (linkat(AT_FDCWD, unnamed, AT_FDCWD, where, AT_SYMLINK_FOLLOW) == 0)
        return 0;
    return errno == EEXIST ? MP_ESYS(EEXIST) : CANNOT;
}

/* The name last. Returns CANNOT if that is not possible here. */
static int create_unnamed(mp__shmfile *file, const char *where, size_t length, bool sparse)
{
    mp__owned slot;
    if (open_owned(&slot, DIRECTORY, O_TMPFILE) < 0)
        return CANNOT;
    MP_STEP("shared_memory.create.opened");
    int rc = fill(file, &slot, length, sparse);
    if (rc == 0) {
        rc = give_name(&slot, where);
        if (rc != 0)
            mp__shmfile_unmap(file->base, length);
        else
            MP_STEP("shared_memory.create.named_last");
    }
    mp__owned_close(&slot);
    return rc;
}

/* The name first. */
static int create_named(mp__shmfile *file, const char *name, size_t length, bool sparse)
{
    mp__owned slot;
    int rc = open_owned(&slot, path_of(name).text, O_CREAT | O_EXCL);
    if (rc < 0)
        return rc;
    MP_STEP("shared_memory.create.named_first");
    rc = fill(file, &slot, length, sparse);
    if (rc < 0)
        mp__shmfile_unlink(name, &slot.identity);
    mp__owned_close(&slot);
    return rc;
}

int mp__shmfile_create(mp__shmfile *file, const char *name, size_t length, bool sparse)
{
    int saved = errno;
    path where = path_of(name);
    struct stat s;
    int rc;
    if (lstat(where.text, &s) == 0)
        rc = MP_ESYS(EEXIST); /* before a lot of memory is taken for nothing */
    else if (length > PTRDIFF_MAX)
        rc = MP_ENOMEM;
    else if (!fits_limit(length))
        rc = MP_ESYS(EFBIG);
    else
        rc = create_unnamed(file, where.text, length, sparse);
    if (rc == CANNOT)
        rc = create_named(file, name, length, sparse);
    errno = saved;
    return rc;
}

static int attach(mp__shmfile *file, const mp__owned *slot, size_t least)
{
    struct stat s;
    if (fstat(slot->fd, &s) != 0)
        return MP_ESYS(errno);
    if (!S_ISREG(s.st_mode))
        return MP_EINVAL;
    if (s.st_size == 0)
        return MP_EAGAIN;
    if ((uint64_t)s.st_size < least)
        return MP_EINVAL;
    file->identity = slot->identity;
    return map(file, slot->fd, (size_t)s.st_size);
}

int mp__shmfile_attach(mp__shmfile *file, const char *name, size_t least)
{
    int saved = errno;
    mp__owned slot;
    int rc = open_owned(&slot, path_of(name).text, 0);
    if (rc == 0)
        rc = attach(file, &slot, least);
    else if (rc == MP_ESYS(EISDIR) || rc == MP_ESYS(ELOOP) || rc == MP_ESYS(ENXIO))
        rc = MP_EINVAL; /* a directory, a symbolic link, a socket or a device */
    mp__owned_close(&slot);
    errno = saved;
    return rc;
}

void mp__shmfile_unmap(void *base, size_t length)
{
    int saved = errno;
    munmap(base, length);
    errno = saved;
}

int mp__shmfile_unlink(const char *name, const mp__fd_identity *identity)
{
    int saved = errno;
    path where = path_of(name);
    struct stat s;
    int rc = 0;
    if (lstat(where.text, &s) != 0)
        rc = MP_ESYS(errno);
    else if (s.st_dev != identity->device || s.st_ino != identity->inode)
        rc = MP_ESYS(ENOENT); /* another file by now */
    else if (unlink(where.text) != 0)
        rc = MP_ESYS(errno);
    errno = saved;
    return rc;
}

/* The kernel reads the byte for us: where a touch would be a SIGBUS it reports an error. */
int mp__shmfile_probe(const void *base, size_t length)
{
    int saved = errno;
    char byte;
    struct iovec here = {&byte, 1};
    struct iovec there = {(char *)(uintptr_t)base + length - 1, 1};
    int rc = process_vm_readv(getpid(), &here, 1, &there, 1, 0) == 1 ? 0 : MP_ESYS(errno);
    errno = saved;
    return rc;
}

int mp__shmfile_random(void *bytes, size_t count)
{
    int saved = errno;
    ssize_t n;
    do
        n = getrandom(bytes, count, 0);
    while (n < 0 && errno == EINTR);
    int rc = n == (ssize_t)count ? 0 : n < 0 ? MP_ESYS(errno) : MP_ESYS(EIO);
    errno = saved;
    return rc;
}
