/* SPDX-License-Identifier: MIT */
#include "os/region.h"

#include "base/atomic.h"
#include "base/bits.h"
#include "os/fd.h"
#include "os/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <mproc/error.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Where nothing lives: between a program's heap and its libraries, also under AddressSanitizer and
 * valgrind; the last two where addresses have but 39 bits, as on small aarch64 machines. A fixed
 * address lets a future spawned process map the region at the same place. */
static const uintptr_t candidates[] = {
    (uintptr_t)0x200000000000, (uintptr_t)0x600000000000, (uintptr_t)0x100000000000,
    (uintptr_t)0x2000000000,   (uintptr_t)0x1000000000,
};

#if defined(__SANITIZE_THREAD__)
#define SANITIZES_THREADS 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define SANITIZES_THREADS 1
#endif
#endif
#ifndef SANITIZES_THREADS
#define SANITIZES_THREADS 0
#endif

static void *map_at(uintptr_t address, size_t size, int fd)
{
    int fixed = address != 0 ? MAP_FIXED_NOREPLACE : 0;
    /* In a program that called mlockall(MCL_FUTURE) the kernel fills a mapping at once, unless it
     * cannot be touched: so access comes last, after the lock is taken off. */
    void *base = mmap((void *)address, size, PROT_NONE, MAP_SHARED | MAP_NORESERVE | fixed, fd, 0);
    if (base == MAP_FAILED)
        return base;
    munlock(base, size);
    /* A kernel before 4.17 takes the address for a hint. */
    if ((address == 0 || base == (void *)address) &&
        mprotect(base, size, PROT_READ | PROT_WRITE) == 0)
        return base;
    munmap(base, size);
    return MAP_FAILED;
}

static void *map_somewhere(size_t size, int fd)
{
    /* ThreadSanitizer aborts on addresses outside its own ranges, so there the kernel chooses. */
    if (SANITIZES_THREADS)
        return map_at(0, size, fd);
    void *base = MAP_FAILED;
    /* ENOMEM may mean too large, or an address that this machine does not have. */
    for (size_t i = 0; i < sizeof candidates / sizeof *candidates && base == MAP_FAILED; i++)
        base = map_at(candidates[i], size, fd);
    return base;
}

static size_t whole_pages(size_t size)
{
    return size & ~(mp__region_page_size() - 1);
}

/* A file may not grow past the file size limit, and trying raises SIGXFSZ. Of an address space that
 * is limited at most a quarter is taken: the program needs the rest, and would find out too
 * late. */
static size_t within_limits(size_t size, size_t least)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && size > limit.rlim_cur / 4)
        size = mp__max_size(limit.rlim_cur / 4, least);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && size > limit.rlim_cur)
        size = limit.rlim_cur;
    return whole_pages(size);
}

static void *try_size(size_t size, int *cause)
{
    int fd = memfd_create("mproc", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0) {
        *cause = errno;
        return MAP_FAILED;
    }
    void *base = MAP_FAILED;
    /* Sealed, so that nobody can make the mapping end in a SIGBUS. */
    if (ftruncate(fd, (off_t)size) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0)
        base = map_somewhere(size, fd);
    *cause = errno;
    mp__fd_close(fd); /* the mapping is all we need: no descriptor that could be mistaken */
    if (base != MAP_FAILED)
        madvise(base, size, MADV_DONTDUMP);
    return base;
}

int mp__region_reserve(void **base, size_t *size, size_t least)
{
    int saved = errno;
    int cause = ENOMEM;
    void *region = MAP_FAILED;
    size_t n = within_limits(*size, least);
    for (; n >= least && region == MAP_FAILED; n = whole_pages(n / 2)) {
        region = try_size(n, &cause);
        if (region != MAP_FAILED) {
            *base = region;
            *size = n;
        } else if (cause == EMFILE || cause == ENFILE || cause == ENOSYS) {
            break;
        }
    }
    errno = saved;
    return region != MAP_FAILED ? 0 : MP_ESYS(cause);
}

void mp__region_release(void *base, size_t size)
{
    munmap(base, size);
}

/* Before Linux 5.14: touches each page without changing it. */
static void touch(void *start, size_t length, size_t page)
{
    for (size_t at = 0; at < length; at += page)
        mp__or_relaxed((_Atomic unsigned char *)start + at, 0);
}

int mp__region_populate(void *start, size_t length)
{
    MP_PROBE2(shared__grow, start, length);
    int saved = errno;
    size_t page = mp__region_page_size();
    uintptr_t low = (uintptr_t)start & ~(uintptr_t)(page - 1);
    uintptr_t high = mp__align_up((uintptr_t)start + length, page);
    int rc;
    do
        rc = madvise((void *)low, high - low, MADV_POPULATE_WRITE);
    while (rc != 0 && (errno == EINTR || errno == EAGAIN));
    if (rc != 0 && errno == EINVAL) {
        touch((void *)low, high - low, page);
        rc = 0;
    }
    errno = saved;
    return rc == 0 ? 0 : MP_ENOMEM;
}

void mp__region_discard(void *start, size_t length)
{
    MP_PROBE2(shared__shrink, start, length);
    int saved = errno;
    size_t page = mp__region_page_size();
    uintptr_t low = mp__align_up((uintptr_t)start, page);
    uintptr_t high = ((uintptr_t)start + length) & ~(uintptr_t)(page - 1);
    if (low < high)
        madvise((void *)low, high - low, MADV_REMOVE);
    errno = saved;
}

size_t mp__region_page_size(void)
{
    static _Atomic size_t known;
    size_t size = mp__load_relaxed(&known);
    if (size == 0) {
        size = (size_t)sysconf(_SC_PAGESIZE);
        mp__store_relaxed(&known, size);
    }
    return size;
}
