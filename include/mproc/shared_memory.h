/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/shared_memory.h
 * @brief Named blocks of memory for programs that have nothing else in common.
 */
#ifndef MPROC_SHARED_MEMORY_H
#define MPROC_SHARED_MEMORY_H

#include <mproc/defs.h>

/** @defgroup shared_memory Named shared memory
 *  @brief Blocks of memory under a name, across unrelated programs. Python:
 *  multiprocessing.shared_memory.SharedMemory.
 *
 *  One program creates a block, any other of the same user attaches to it by its name, also a
 *  Python program, and the other way round: names, files, modes and sizes are those that Python
 *  uses (`/dev/shm/NAME`, 0600, the length exact, no header). In this they differ from all else in
 *  this library: a block has no owner, **it stays until it is unlinked**, whoever dies, and each
 *  program has it at another address.
 *
 *  - A name is 1 to 255 bytes, none of them `/`, and not `.` or `..`; slashes in front do not
 *    count, as in Python. Anything else is allowed; but Python's own resource tracker stumbles over
 *    a name with a colon or a newline, and so do Python programs that attach to it.
 *  - Python before 3.13 (from then on without `track=False`) unlinks, when its processes end,
 *    whatever they were attached to. Mappings live on; the name is gone. Nothing in this library
 *    ever unlinks but mp_shared_memory_unlink().
 *  - A handle belongs to a process. A forked child has a copy with a mapping of its own, over the
 *    same memory: closing and freeing it there acts on the copy alone. Pointers into the block that
 *    are used after the close are the program's error: there are no views to be counted.
 *  - There is no lock in a block, and objects of this library do not work in it: they belong to a
 *    family of processes. C11 atomics do.
 *
 *  **When a process dies** the block stays, with what is in it, for the others and for who attaches
 *  later. One that dies in mp_shared_memory_create() leaves nothing, or the finished block: the
 *  name appears last. (Where the system has no unnamed files in /dev/shm, or /proc is missing, it
 *  may leave an empty file, as Python does. Then create is `MP_ESYS(EEXIST)`, attach #MP_EAGAIN,
 *  and `shm_unlink()` removes it.)
 *
 *  **When somebody truncates the file** it is an error where it can be had: at an attach that asks
 *  for a length, and in mp_shared_memory_check(). Touching bytes that are gone is a SIGBUS; files
 *  in /dev/shm cannot be sealed against it.
 *
 *  See @ref guide_shared_memory "the chapter".
 *  @{ */

/** A named block, as this process sees it. */
typedef struct mp_shared_memory mp_shared_memory;

/** Options of mp_shared_memory_create(). */
typedef struct mp_shared_memory_options {
    size_t size;      /**< sizeof(mp_shared_memory_options); mp_shared_memory_new() sets it. */
    const char *name; /**< The block's name. Not given with `.create`: one is made up, `psm_` and
                           eight hexadecimal digits; without: #MP_EINVAL. */
    size_t length; /**< Bytes. With `.create`: required. Else: how many there must be at least. */
    int create;    /**< #MP_YES: makes a new block, else attaches to one that exists. */
    int sparse;    /**< #MP_YES, with `.create`: memory is taken only where it is touched, as
                           Python does it; where there is none left, a touch is a SIGBUS. */
} mp_shared_memory_options;

MP_BEGIN_DECLS

/**
 * Makes a named block, zeroed, or attaches to one, and maps all of it.
 *
 * A new block has its memory, unless it is `.sparse`: no room is #MP_ENOMEM here, and no SIGBUS
 * later. Attaching changes nothing and destroys nothing, also when it fails. A block keeps no
 * descriptor open. It needs no family: mp_init() is not called.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(), also in the child of a threaded
 * program as far as malloc() is. Python: SharedMemory(name, create, size).
 *
 * @param[out] out the handle, NULL on failure; owed to mp_shared_memory_free()
 * @param options see #mp_shared_memory_options
 * @return 0; #MP_EINVAL: out is NULL, a bad name, a name or length that is missing, fewer bytes
 *         than `.length` in the block that exists, what is there is no regular file, unknown or
 *         contradictory options; `MP_ESYS(EEXIST)`: the name is taken; `MP_ESYS(ENOENT)`: there is
 *         no such block; #MP_EAGAIN: it is empty, its maker has not given it a length yet;
 *         `MP_ESYS(EACCES)`: it is another user's; #MP_ENOMEM: no room in /dev/shm, in the
 *         machine's memory, or in the address space; `MP_ESYS(EFBIG)`: more than the limit on file
 *         sizes; another #MP_ESYS. After a failure there is no new block.
 */
MP_API int mp_shared_memory_create(mp_shared_memory **out, const mp_shared_memory_options *options);

/** mp_shared_memory_create() with keywords:
 *  `mp_shared_memory_new(&m, .name = "frames", .create = true, .length = 1 << 20)`. */
#define mp_shared_memory_new(...) MP_I_NEW(mp_shared_memory, __VA_ARGS__)

/** Where a named block is mapped in this process, at the beginning of a page. Thread-safe,
 *  async-signal-safe. Python: buf.
 *  @param memory a handle
 *  @return the first byte; NULL: the handle is closed, or NULL */
MP_API void *mp_shared_memory_buffer(const mp_shared_memory *memory);

/** How long a named block was when it was mapped, in bytes, exactly; also after the close.
 *  Thread-safe, async-signal-safe. Python: size.
 *  @param memory a handle
 *  @return bytes; 0 for NULL */
MP_API size_t mp_shared_memory_length(const mp_shared_memory *memory);

/** The name of a named block, without a slash; also after the close. Thread-safe,
 *  async-signal-safe. Python: name.
 *  @param memory a handle
 *  @return the name, valid until mp_shared_memory_free(); NULL for NULL */
MP_API const char *mp_shared_memory_name(const mp_shared_memory *memory);

/**
 * Tells whether every page of a named block can be touched at this moment, or somebody has
 * truncated its file.
 *
 * The answer may be stale at once, so it guards against peers that do wrong, not against enemies. A
 * file that was cut within its last page, or cut and made longer again, does no harm and is not
 * noticed. It is a system call. Thread-safe; not async-signal-safe.
 *
 * @param memory a handle
 * @return 0; `MP_ESYS(EFAULT)`: touching the block's end would be a SIGBUS; #MP_ECLOSED;
 *         #MP_EINVAL: NULL; another #MP_ESYS: it cannot be told here
 */
MP_API int mp_shared_memory_check(const mp_shared_memory *memory);

/**
 * Unmaps a named block in this process. The block stays, for others and for its name.
 *
 * Two threads may close at the same time. No thread may use the memory any more. Thread-safe;
 * async-signal-safe. Python: close().
 *
 * @param memory a handle
 * @return 0, also if it was closed before; #MP_EINVAL: NULL
 */
MP_API int mp_shared_memory_close(mp_shared_memory *memory);

/**
 * Removes the name of a named block. The memory stays as long as somebody has it mapped.
 *
 * Works for who has created it and for who has attached, also after the close. A block that another
 * has made since under the same name is left alone. Thread-safe; not async-signal-safe. Python:
 * unlink().
 *
 * @param memory a handle
 * @return 0; `MP_ESYS(ENOENT)`: this block has no name any more, somebody has unlinked it;
 *         #MP_EINVAL: NULL; another #MP_ESYS
 */
MP_API int mp_shared_memory_unlink(mp_shared_memory *memory);

/** Closes the handle of a named block and frees it; never unlinks.
 *  Not thread-safe, not async-signal-safe: nobody else may use the handle.
 *  @param memory a handle, or NULL */
MP_API void mp_shared_memory_free(mp_shared_memory *memory);

MP_END_DECLS

/** @} */

#endif
