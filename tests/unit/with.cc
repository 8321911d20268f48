/* SPDX-License-Identifier: MIT */
/* MP_WITH in C++17, where it chooses by overloads: for test_with_types.sh. */
#include <mproc.h>

/* How often the object is held inside of the block, which is left by continue and by return. */
template <typename T> static int depth_in_block(T *object, int (*count)(T *))
{
    for (int i = 0; i < 2; i++) {
        int rc = 99;
        MP_WITH_STATUS (object, rc) {
            if (i == 0)
                continue; /* leaves the block, not the loop */
            return rc == 0 ? count(object) : -1;
        }
        if (rc != 0 || count(object) != 0)
            return -2;
    }
    return -3;
}

static int lock_held(mp_lock *l)
{
    int rc = mp_lock_acquire(l, 0);
    if (rc == 0)
        mp_lock_release(l);
    return rc == MP_EDEADLK;
}

static int rlock_held(mp_rlock *l)
{
    return mp_rlock_depth(l);
}

static int condition_held(mp_condition *c)
{
    return mp_condition_notify(c, 1) != MP_EPERM;
}

static int permit_held(mp_semaphore *s)
{
    return 1 - mp_semaphore_value(s);
}

int main()
{
    mp_lock *lock;
    mp_rlock *rlock;
    mp_condition *condition;
    mp_semaphore *semaphore;
    if (mp_lock_create(&lock, nullptr) < 0 || mp_rlock_create(&rlock, nullptr) < 0 ||
        mp_condition_create(&condition, nullptr) < 0 ||
        mp_semaphore_create(&semaphore, 1, nullptr) < 0)
        return 1;
    if (depth_in_block(lock, lock_held) != 1 || lock_held(lock))
        return 2;
    if (depth_in_block(rlock, rlock_held) != 1 || rlock_held(rlock))
        return 3;
    if (depth_in_block(condition, condition_held) != 1 || condition_held(condition))
        return 4;
    if (depth_in_block(semaphore, permit_held) != 1 || permit_held(semaphore))
        return 5;
    int held = 0;
    MP_WITH (rlock)
        MP_WITH (semaphore)
            held = rlock_held(rlock) + permit_held(semaphore);
    if (held != 2 || rlock_held(rlock) || permit_held(semaphore))
        return 6;
    mp_condition_free(condition);
    mp_lock_free(lock);
    mp_rlock_free(rlock);
    mp_semaphore_free(semaphore);
    return 0;
}
