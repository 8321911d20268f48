/* SPDX-License-Identifier: MIT */
/**
 * @file mproc/shared.h
 * @brief Memory that every process of the family sees at the same address.
 */
#ifndef MPROC_SHARED_H
#define MPROC_SHARED_H

#include <mproc/defs.h>

/** @defgroup shared Shared memory
 *  @brief Blocks of memory for all processes of the family. Python: RawValue, RawArray, and the
 *  heap of multiprocessing.
 *
 *  A block is usable, at the same address, by every process of the family, also by those that
 *  started before the call; so pointers to blocks can be put into blocks, sent through queues and
 *  handed to older processes. Its pages are real when it is handed out: a limit is #MP_ENOMEM here,
 *  never a SIGBUS later (before Linux 5.14 memory that the system refuses is a SIGBUS here).
 *
 *  | Python | here |
 *  |---|---|
 *  | `RawValue(t, x)` | MP_VALUE() |
 *  | `RawArray(t, n)`, `len(array)`, `array[i]` | MP_ARRAY(), mp_array_length(), MP_AT() |
 *  | `Value`, `Array`, with a lock | a structure of your own with an mp_lock; or an atomic |
 *
 *  **Atomics.** C11's `_Atomic` types of 1, 2, 4 and 8 bytes (those for which `atomic_is_lock_free`
 *  is true) work between processes: `_Atomic long *n = MP_VALUE(_Atomic long, 0)`, then
 *  `atomic_fetch_add(n, 1)`; so do C++'s `std::atomic`. Larger ones do not: their lock is the
 *  process's own.
 *
 *  **Limit.** The blocks of a family take at most half of the memory (of the machine, or of the
 *  control group), or what mp_arena_configure() or the environment say: `MPROC_ARENA_LIMIT`, whole
 *  bytes, with K, M or G behind them for powers of 1024. The program wins over the environment. A
 *  value that is no such number, or less than 1 MiB, makes mp_init(), and with it whatever needs
 *  shared memory, fail with #MP_EINVAL. At the limit allocating is #MP_ENOMEM, and succeeds again
 *  when enough was freed. Blocks up to 32 KiB come out of spans of 64 KiB to 512 KiB for one size
 *  each, larger ones are whole multiples of 64 KiB: so a limit of a few MiB serves many sizes of
 *  small blocks or a few large ones. Where there is no room for a span any more, but 64 KiB are, a
 *  block takes these. Where the address space or the file size is limited (`ulimit
 *  -v`, `-f`) the limit may be less; mp_shared_stats() tells what it is.
 *
 *  **Memory goes back** to the system when blocks are freed, but for a reserve of up to 8 MiB, for
 *  what shares a span with blocks in use, and for empty spans that threads allocate from; these go
 *  when the reserve is exceeded the next time, or at the limit. Where memory is needed again
 *  within a second after it went back, the reserve grows by it, to at most 128 MiB or a sixteenth
 *  of the limit, but not below 8 MiB; it shrinks by what was idle for a second, at the calls that
 *  follow. A family that makes no more calls keeps up to its reserve.
 *
 *  **When a process dies** inside one of these functions at most the block in flight is lost, and
 *  nobody is blocked. One that is stopped (SIGSTOP) while it holds the allocator's lock keeps
 *  others waiting until it goes on. The blocks that a dead process had in use stay: they belong to
 *  the family.
 *
 *  **Leaks.** With `MPROC_DEBUG=leaks` in the environment at the first use every block carries the
 *  process and the code that asked for it, and when the process that founded the family ends by
 *  exit() or returns from main() the blocks that nobody has freed are reported on stderr: address,
 *  size, process, and where, as file and offset for addr2line. Objects of the library (a queue, a
 *  lock) are told at the library's function that made them. `MPROC_DEBUG` is a list with commas; a
 *  word that is not known is told on stderr. Without it nothing is ever printed.
 *
 *  See @ref guide_shared "the chapter".
 *  @{ */

MP_BEGIN_DECLS

/** Options of mp_arena_configure(). */
typedef struct mp_arena_options {
    size_t size;  /**< sizeof(mp_arena_options) */
    size_t limit; /**< bytes that blocks may take: 1 MiB to 16 TiB; 0: not given */
} mp_arena_options;

/**
 * Says how large the family's shared memory may become, before anything has used it.
 *
 * Calling it again replaces what was said before; options that are NULL or give nothing go back to
 * the environment and the default. A forked process that has not used the library inherits it.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param options NULL, or `&(mp_arena_options){.size = sizeof(mp_arena_options), .limit = n}`
 * @return 0; #MP_ESTATE: the family is founded already; #MP_EINVAL: a limit that is out of range,
 *         unknown options
 */
MP_API int mp_arena_configure(const mp_arena_options *options);

/**
 * Allocates a block of shared memory.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param size bytes; 0 gives a block, too
 * @return the block, aligned to 16 bytes, contents undefined; NULL: see mp_shared_error()
 */
MP_API void *mp_shared_alloc(size_t size);

/**
 * Allocates a zeroed block of shared memory for an array.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param n how many elements
 * @param size bytes of one element; a product that overflows is #MP_EINVAL
 * @return the zeroed block, aligned to 16 bytes; NULL: see mp_shared_error()
 */
MP_API void *mp_shared_calloc(size_t n, size_t size);

/**
 * Gives a block of shared memory back. Any process may free what any other has allocated.
 *
 * A pointer that is no live block is left alone, and mp_shared_error() says #MP_EINVAL.
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param p a block, or NULL
 */
MP_API void mp_shared_free(void *p);

/**
 * Why the calling thread's last call for shared memory failed: mp_shared_alloc(),
 * mp_shared_calloc(), mp_shared_free(), MP_VALUE(), MP_ARRAY() or MP_AT().
 *
 * Thread-safe, async-signal-safe.
 *
 * @return 0 if it succeeded; #MP_ENOMEM; #MP_EINVAL: a pointer that is no block or array, an index
 *         that is out of bounds, a count, size or alignment that cannot be; or a code of mp_init()
 */
MP_API int mp_shared_error(void);

/**
 * Allocates a block of shared memory and copies the initial bytes into it; MP_VALUE() calls it.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param initial `size` bytes; NULL: zeroes
 * @param size bytes
 * @param alignment a power of two up to 4096, else #MP_EINVAL
 * @return the block, to be released by mp_shared_free(); NULL: see mp_shared_error()
 */
MP_API void *mp_shared_value(const void *initial, size_t size, size_t alignment);

/**
 * Allocates a shared array: a zeroed block that knows how many elements it has; MP_ARRAY() calls
 * it.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param count elements; 0 is allowed
 * @param size bytes of one
 * @param alignment a power of two up to 4096
 * @return the array, to be released by mp_shared_free(); NULL: see mp_shared_error(), #MP_EINVAL
 *         for a count < 0, a size of 0, another alignment, or a product that overflows
 */
MP_API void *mp_shared_array(ssize_t count, size_t size, size_t alignment);

/**
 * How many elements a shared array has. Python: `len(array)`.
 *
 * The count stands behind the elements, with a check word that depends on the address; so any
 * pointer may be asked about. What writes beyond the end of an array may make it none.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param array what MP_ARRAY() has returned
 * @return the count; #MP_EINVAL: it is no array, or it was freed
 */
MP_API ssize_t mp_array_length(const void *array);

/**
 * Where an element of a shared array is; MP_AT() calls it.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: `array[i]`, where it is
 * an IndexError.
 *
 * @param array what MP_ARRAY() has returned
 * @param size bytes of one element
 * @param index from 0; below 0 it counts from the end, -1 is the last
 * @return the element; NULL, and mp_shared_error() is #MP_EINVAL: no array, or no such element
 */
MP_API void *mp_array_at(const void *array, size_t size, ssize_t index);

/** How many size classes of small blocks there are. */
#define MP_SHARED_CLASSES 40

/** The small blocks of one size. */
typedef struct mp_shared_class {
    size_t block_size; /**< bytes of a block of this class */
    size_t blocks;     /**< how many are in use */
} mp_shared_class;

/** What mp_shared_stats() tells. */
typedef struct mp_shared_usage {
    size_t size;      /**< set by the caller: sizeof(mp_shared_usage) */
    size_t in_use;    /**< bytes of blocks in use, each with what it was rounded up to */
    size_t blocks;    /**< how many these are */
    size_t reserved;  /**< bytes set aside for blocks: whole spans, and large blocks */
    size_t peak;      /**< the most that `reserved` has been: at least the most that `in_use` was */
    size_t limit;     /**< the most that `reserved` may become */
    size_t committed; /**< bytes of memory that the system has given, administration included */
    size_t large_blocks; /**< blocks in use that come out of no span: all over 32 KiB */
    size_t large_bytes;  /**< bytes of these */
    mp_shared_class classes[MP_SHARED_CLASSES]; /**< the small blocks in use, by size */
} mp_shared_usage;

/**
 * How much shared memory is in use.
 *
 * The figures are counted anew at each call, and so are right also after deaths; the blocks of the
 * library's own objects are among them. They are exact if nobody allocates or frees meanwhile.
 * Allocating waits until the call is done: some microseconds for each MiB in use.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param out where to write; `out->size` must be set
 * @return 0; #MP_EINVAL: NULL, or a size that was not set; or a code of mp_init()
 */
MP_API int mp_shared_stats(mp_shared_usage *out);

/**
 * Reports all blocks in use, if `MPROC_DEBUG=leaks` was given, as at the end of the family's
 * founder; see @ref shared.
 *
 * Nobody should allocate or free meanwhile. Thread-safe; not async-signal-safe; usable after a
 * plain fork().
 *
 * @param fd the descriptor that the lines are written to
 * @return how many blocks there are; #MP_ESTATE: it was not given, or nothing was used yet
 */
MP_API int mp_shared_report_leaks(int fd);

/**
 * Checks the shared region: every structure of the allocator, and that no two blocks overlap.
 *
 * Meant for tests after a crash. It must not run while other processes allocate.
 * Thread-safe; not async-signal-safe; usable after a plain fork().
 *
 * @param problem where to store a static sentence about the first fault found, or NULL
 * @return 0 if all is sound; #MP_EBROKEN if not; or a code of mp_init()
 */
MP_API int mp_shared_check(const char **problem);

MP_END_DECLS

/**
 * Makes one shared value: `MP_VALUE(type, initial)` is a `type *`.
 *
 * `int *n = MP_VALUE(int, 5);` and `struct point *p = MP_VALUE(struct point, {1, 2});`: what stands
 * for the initial value is what may stand between `type x[1] = {` and `}`, commas included; a
 * value of the structure's type serves, too. The block has the alignment of the type (up to 4096;
 * more is #MP_EINVAL) and is released by mp_shared_free(). A type whose name does not go before a
 * `*`, an array for instance, needs a typedef. In C++ the type is copied as bytes, and the macro
 * stands inside functions only.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: `RawValue`.
 *
 * @param type the type of the value
 * @param ... its initial value
 * @return the value; NULL: see mp_shared_error()
 */
#ifdef __cplusplus
#define MP_VALUE(type, ...)                                                                        \
    ([&]() -> type * {                                                                             \
        type mp_i_initial[1] = {__VA_ARGS__};                                                      \
        return static_cast<type *>(mp_shared_value(mp_i_initial, sizeof(type), alignof(type)));    \
    }())
#else
#define MP_VALUE(type, ...)                                                                        \
    ((type *)mp_shared_value((type[1]){__VA_ARGS__}, sizeof(type), _Alignof(type)))
#endif

/**
 * Makes a shared array: `MP_ARRAY(type, count)` is a `type *` to that many zeroed elements.
 *
 * It has the alignment of the type (up to 4096; more is #MP_EINVAL), tells its length by
 * mp_array_length(), and is released by mp_shared_free().
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: `RawArray`.
 *
 * @param type the type of the elements
 * @param count how many; 0 is allowed
 * @return the first element; NULL: see mp_shared_error(), which is #MP_EINVAL for a count < 0 or
 *         one that overflows
 */
#ifdef __cplusplus
#define MP_ARRAY(type, count)                                                                      \
    (static_cast<type *>(mp_shared_array(static_cast<ssize_t>(count), sizeof(type), alignof(type))))
#else
#define MP_ARRAY(type, count)                                                                      \
    ((type *)mp_shared_array((ssize_t)(count), sizeof(type), _Alignof(type)))
#endif

/**
 * A pointer to an element of a shared array, with its bounds checked: `MP_AT(array, i)`, of the
 * array's own pointer type. `array[i]` is not checked.
 *
 * Thread-safe; not async-signal-safe; usable after a plain fork(). Python: `array[i]`.
 *
 * @param array what MP_ARRAY() has returned
 * @param index from 0; below 0 it counts from the end, -1 is the last
 * @return the element; NULL, and mp_shared_error() is #MP_EINVAL: no array, or no such element
 */
#ifdef __cplusplus
#define MP_AT(array, index)                                                                        \
    (static_cast<decltype(&*(array))>(mp_array_at((array), sizeof *(array), (index))))
#else
#define MP_AT(array, index)                                                                        \
    ((__typeof__(&*(array)))mp_array_at((const void *)(array), sizeof *(array), (index)))
#endif

/** @} */

#endif
