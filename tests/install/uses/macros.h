/* SPDX-License-Identifier: MIT */
/* Every macro that puts code of the library's into the program's, in C and in C++: compiled with
 * all the warnings that a program may be compiled with. */
#include <mproc.h>

struct point {
    double x, y;
};

int square(const void *in, void *out, void *context);
long all_macros(mp_queue *queue, mp_pool *pool, mp_lock *lock, mp_semaphore *permits, int which);

int square(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return 0;
}

long all_macros(mp_queue *queue, mp_pool *pool, mp_lock *lock, mp_semaphore *permits, int which)
{
    const short small[] = {1, 2, 3};
    long wide[3] = {0, 0, 0};
    struct point here = {0, 0};
    unsigned long sum = 0;
    int rc = 0;

    if (MP_PUT(queue, 42L, MP_FOREVER) < 0 || MP_PUT(queue, here, MP_NO_WAIT) == MP_EFULL ||
        MP_GET(queue, &here, 0.5) < 0 || MP_GET(queue, &wide[which], MP_DEFAULT_TIMEOUT) < 0)
        return MP_ESYS(12);
    int *n = MP_VALUE(int, 5);
    struct point *p = MP_VALUE(struct point, {1, 2});
    unsigned char *bytes = MP_ARRAY(unsigned char, which);
    unsigned char *last = MP_AT(bytes, -1);
    if (n && p && last)
        sum += (mp_array_length(bytes) > 0 ? 1U : 0U) + *last;
    MP_WITH (lock) {
        MP_WITH (permits) {
            sum++;
        }
    }
    MP_WITH_STATUS (lock, rc) {
        sum++;
    }
    if (MP_MAP(pool, square, small, wide, 3) < 0 || rc == MP_OWNERDEAD || mp_version() < MP_VERSION)
        return MP_ENOMEM;
#ifndef __cplusplus
    mp_queue *other;
    mp_process *child;
    mp_pool *workers;
    if (mp_queue_new(&other) < 0 || mp_queue_new(&other, .maxsize = 8) < 0 ||
        mp_process_new(&child, .name = "child", .daemon = MP_YES) < 0 ||
        mp_pool_new(&workers, .processes = 2, .progress = MP_PROGRESS_BAR) < 0)
        return MP_EINVAL;
#endif
    mp_shared_free(bytes);
    return sum > 1 ? 1 : 0;
}
