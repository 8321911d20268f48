// SPDX-License-Identifier: MIT
// MP_VALUE and MP_ARRAY in C++; built and run by test_shared_cplusplus.sh.
#include <atomic>
#include <mproc/error.h>
#include <mproc/shared.h>
#include <stdint.h>
#include <stdio.h>

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

namespace
{
struct point {
    int x, y;
};
struct alignas(64) wide {
    char c;
};
template <typename T> T *made(T initial)
{
    return MP_VALUE(T, initial);
}
} // namespace

int main()
{
    int five = 5;
    int *i = MP_VALUE(int, five);
    point *p = MP_VALUE(point, {1, 2});
    point *q = MP_VALUE(point, *p);
    wide *w = MP_VALUE(wide, {'x'});
    double *d = made(2.5);
    std::atomic<long> *n = MP_VALUE(std::atomic<long>, {7});
    EXPECT(i != nullptr && p != nullptr && q != nullptr && w != nullptr && n != nullptr);
    EXPECT(*i == 5 && p->x == 1 && p->y == 2 && q->y == 2 && w->c == 'x' && *d == 2.5);
    EXPECT(n->fetch_add(1) == 7 && n->load() == 8);
    EXPECT(reinterpret_cast<uintptr_t>(w) % 64 == 0);

    point *points = MP_ARRAY(point, 10);
    EXPECT(points != nullptr && points[9].y == 0 && mp_array_length(points) == 10);
    EXPECT(mp_array_length(p) == MP_EINVAL);
    EXPECT(MP_ARRAY(point, -1) == nullptr && mp_shared_error() == MP_EINVAL);
    unsigned count = 3;
    wide *row = MP_ARRAY(wide, count);
    EXPECT(mp_array_length(row) == 3 && reinterpret_cast<uintptr_t>(row) % 64 == 0);

    mp_shared_usage s = {};
    s.size = sizeof s;
    EXPECT(mp_shared_stats(&s) == 0 && s.blocks >= 8);
    void *all[] = {i, p, q, w, d, n, points, row};
    for (void *each : all) {
        mp_shared_free(each);
        EXPECT(mp_shared_error() == 0);
    }
    return 0;
}
