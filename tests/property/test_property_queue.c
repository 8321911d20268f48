/* SPDX-License-Identifier: MIT */
/*
 * Long random histories of one queue in one process, compared step by step with a plain model
 * (property/model.h): every call must return what the model says, every message be the model's, and
 * memory be back where it was in the end. Half of the steps of a phase put, or most, or few, so
 * that queues run full, run dry, grow and shrink.
 *
 * `make property ROUNDS=10000 SEED=7` runs it for long. A failure prints the seed of its round:
 * with that SEED and ROUNDS=1 that one history is repeated.
 */
#include "property/in_hand.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum {
    ROUNDS = 2000,
    MANY = 100, /* messages of one call */
};

static void step_put(history *h)
{
    size_t length = any_length(h);
    const unsigned char *bytes = any_bytes(h, length);
    int expected = model_may_put(&h->m, length);
    int rc = mp_queue_put(h->q, length == 0 && below(h, 2) ? NULL : bytes, length,
                          timeout_for(h, expected));
    trail(h, "put %zu: %d, expected %d", length, rc, expected);
    if (rc == MP_ENOMEM && may_lack_memory(h, length))
        return;
    if (expected == MP_EMSGSIZE && h->m.closed)
        EXPECT(h, rc == MP_EMSGSIZE || rc == MP_ECLOSED);
    else
        EXPECT(h, rc == expected);
    if (rc == 0)
        model_put(&h->m, bytes, length);
}

static void step_put_many(history *h)
{
    mp_bytes messages[MANY];
    int count = (int)below(h, below(h, 4) == 0 ? MANY + 1 : 8), fit = 0, refused = 0;
    model *m = &h->m;
    size_t number = m->count, bytes = m->bytes;
    for (int i = 0; i < count; i++) {
        size_t length = any_length(h);
        messages[i] = (mp_bytes){any_bytes(h, length), length, 0};
        if (refused == 0)
            refused = model_may_put(m, length);
        if (refused == 0) { /* as if it were in, for those that follow */
            m->count++;
            m->bytes += model_cost(length);
            fit++;
        }
    }
    m->count = number;
    m->bytes = bytes;
    int expected = fit > 0 ? fit : refused;
    int rc = mp_queue_put_many(h->q, messages, count,
                               refused != 0 ? timeout_for(h, refused) : any_timeout(h));
    trail(h, "put_many %d: %d, expected %d, then %d", count, rc, expected, refused);
    if (h->scarce && rc != expected)
        EXPECT(h, (rc == MP_ENOMEM && may_lack_memory(h, LARGE)) || (rc > 0 && rc < expected));
    else
        EXPECT(h, rc == expected || (refused == MP_EMSGSIZE && m->closed && rc == MP_ECLOSED));
    for (int i = 0; i < rc; i++)
        model_put(m, messages[i].data, messages[i].length);
}

/* get, get_sized, get_exact: into a place of ours. */
static void step_get(history *h)
{
    size_t capacity = any_capacity(h, next_length(h)), needed = 12345, there = next_length(h);
    ssize_t expected = model_may_get(&h->m, capacity), rc;
    unsigned char *place = new_place(capacity), *to = capacity == 0 && below(h, 2) ? NULL : place;
    uint32_t how = below(h, 3);
    if (how == 2 && expected >= 0 && (size_t)expected != capacity)
        expected = MP_EMSGSIZE;
    double timeout = timeout_for(h, expected);
    if (how == 0)
        rc = mp_queue_get(h->q, to, capacity, timeout);
    else if (how == 1)
        rc = mp_queue_get_sized(h->q, to, capacity, &needed, timeout);
    else
        rc = mp_queue_get_exact(h->q, to, capacity, timeout);
    trail(h, "get%s %zu of %zu: %zd, expected %zd",
          how == 0   ? ""
          : how == 1 ? "_sized"
                     : "_exact",
          capacity, there, rc, expected);
    EXPECT(h, rc == (how == 2 && expected > 0 ? 0 : expected));
    if (how == 1)
        EXPECT(h, needed == (expected >= 0 || expected == MP_EMSGSIZE ? there : 0));
    if (expected >= 0)
        EXPECT(h, model_get(&h->m, place, (size_t)expected));
    EXPECT(h, is_intact(place, capacity));
    free(place);
}

static void step_get_alloc(history *h)
{
    void *data = h;
    size_t length = 12345;
    ssize_t expected = model_may_get(&h->m, SIZE_MAX);
    int rc = mp_queue_get_alloc(h->q, &data, &length, timeout_for(h, expected));
    trail(h, "get_alloc: %d, %zu, expected %zd", rc, length, expected);
    EXPECT(h, rc == (expected < 0 ? (int)expected : 0));
    EXPECT(h, (data != NULL) == (rc == 0) && (rc == 0 || length == 0));
    if (rc == 0)
        EXPECT(h, model_get(&h->m, data, length));
    free(data);
}

static void step_get_many(history *h)
{
    mp_bytes places[MANY];
    int count = (int)below(h, below(h, 4) == 0 ? MANY + 1 : 8), fit = 0;
    bool open = true;
    for (int i = 0; i < count; i++) {
        bool there = (size_t)i < h->m.count;
        size_t next = there ? h->m.at[i].length : 0;
        size_t capacity = below(h, 32) == 0 ? any_capacity(h, next) : next + below(h, 9);
        places[i] = (mp_bytes){new_place(capacity), 12345, capacity};
        open = open && there && next <= capacity;
        fit += open;
    }
    ssize_t expected = count == 0 || fit > 0 ? fit : model_may_get(&h->m, places[0].capacity);
    int rc = mp_queue_get_many(h->q, count == 0 ? NULL : places, count, timeout_for(h, expected));
    trail(h, "get_many %d: %d, expected %zd", count, rc, expected);
    EXPECT(h, rc == expected);
    for (int i = 0; i < rc; i++)
        EXPECT(h, model_get(&h->m, places[i].data, places[i].length));
    for (int i = 0; i < count; i++) {
        EXPECT(h, is_intact(places[i].data, places[i].capacity));
        free(places[i].data);
    }
}

/* Whatever is wrong changes nothing: the next steps see that. */
static void step_wrong(history *h)
{
    char byte;
    size_t length;
    void *data;
    mp_bytes none = {NULL, 1, 1};
    trail(h, "wrong arguments");
    step_wrong_block(h);
    EXPECT(h, mp_queue_put(h->q, NULL, 1, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_put(h->q, "", 1, NAN) == MP_EINVAL);
    EXPECT(h, mp_queue_put_many(h->q, NULL, 1, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_put_many(h->q, &none, 1, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_put_many(h->q, &none, -1, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_get(h->q, NULL, 1, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_get(h->q, &byte, 1, NAN) == MP_EINVAL);
    EXPECT(h, mp_queue_get_sized(h->q, &byte, 1, NULL, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_get_exact(h->q, NULL, 1, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_get_alloc(h->q, NULL, &length, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_get_alloc(h->q, &data, NULL, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_get_many(h->q, &none, 1, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_get_many(h->q, NULL, 1, any_timeout(h)) == MP_EINVAL);
    EXPECT(h, mp_queue_get_many(h->q, &none, -1, any_timeout(h)) == MP_EINVAL);
}

static void compare(history *h)
{
    const model *m = &h->m;
    EXPECT(h, mp_queue_size(h->q) == (int)m->count);
    EXPECT(h, mp_queue_empty(h->q) == (m->count == 0));
    EXPECT(h, mp_queue_full(h->q) == (m->maxsize != 0 && m->count >= m->maxsize));
}

/* `puts` of 10 steps put. */
static void one_step(history *h, uint32_t puts)
{
    h->trail[h->step % TRAIL][0] = '\0';
    bool laden = h->redelivers && h->m.gets - h->m.done > UNDONE;
    if (below(h, 200) == 0)
        step_wrong(h);
    else if (laden || below(h, 5) == 0)
        step_task_done(h);
    else if (below(h, 50) == 0)
        step_join(h);
    else if (below(h, 5) == 0)
        step_in_hand(h, below(h, 10) < puts && h->m.bytes < ENOUGH);
    else if (below(h, 10) < puts && h->m.bytes < ENOUGH)
        (below(h, 8) == 0 ? step_put_many : step_put)(h);
    else
        switch (below(h, 8)) {
        case 0:
            step_get_many(h);
            break;
        case 1:
            step_get_alloc(h);
            break;
        default:
            step_get(h);
            break;
        }
    compare(h);
    h->step++;
}

static void make(history *h)
{
    static const size_t sizes[] = {1, 2, 3, 7, 64, 1000};
    static const size_t capacities[] = {8, 9, 100, 5000, 70000, 1 << 20};
    mp_queue_options o = {.size = sizeof o};
    uint32_t limits = below(h, 4);
    h->m = (model){.maxsize = limits & 1 ? sizes[below(h, 6)] : 0,
                   .capacity = limits & 2 ? capacities[below(h, 6)] : 0};
    o.maxsize = (int)h->m.maxsize;
    o.capacity = h->m.capacity;
    h->redelivers = !h->scarce && below(h, 3) == 0;
    o.on_death = h->redelivers ? MP_REDELIVER : (int)below(h, 2);
    EXPECT(h, mp_queue_create(&h->q, &o) == 0);
}

static void one_history(uint64_t seed, bool scarce)
{
    history h = {.seed = seed, .scarce = scarce, .r = (seed * 2654435761u) | 1};
    for (int i = 0; i < 8; i++) /* away from seeds of few bits */
        random_next(&h.r);
    size_t used = bytes_before();
    make(&h);
    int phases = 1 + (int)below(&h, 10), closing = below(&h, 2) ? (int)below(&h, 10) : -1;
    for (int phase = 0; phase < phases; phase++) {
        if (phase == closing) {
            EXPECT(&h, mp_queue_close(h.q) == 0 && mp_queue_close(h.q) == 0);
            h.m.closed = true;
        }
        uint32_t puts = 1 + below(&h, 9);
        for (uint32_t i = below(&h, 200); i > 0; i--)
            one_step(&h, puts);
    }
    for (bool drained = below(&h, 2); drained && h.m.count > 0;)
        one_step(&h, 0);
    mp_queue_free(h.q); /* with all that is in hand */
    while (h.loans > 0)
        drop_held(h.loan, &h.loans, 0);
    while (h.takes > 0)
        drop_held(h.taken, &h.takes, 0);
    model_clear(&h.m);
    EXPECT(&h, bytes_in_use() == used);
    EXPECT(&h, seed % 16 != 0 || mp_shared_check(NULL) == 0);
}

static int rounds(void)
{
    const char *given = getenv("ROUNDS");
    return given != NULL && *given != '\0' ? atoi(given) : fewer(ROUNDS);
}

static uint64_t first_seed; /* of this run */

/* A family of its own with so much memory; histories by the seeds that follow. */
static int live(size_t memory, bool scarce)
{
    alarm(getenv("ROUNDS") != NULL ? 0 : 240);
    mp_arena_options o = {.size = sizeof o, .limit = memory};
    CHECK(mp_arena_configure(&o) == 0 && mp_init() == 0);
    random_state r = 1;
    for (size_t i = 0; i < sizeof source; i++)
        source[i] = (unsigned char)random_next(&r);
    one_history(0, scarce); /* what the first use leaves for good */
    for (int i = 0; i < rounds(); i++)
        one_history(first_seed + (uint64_t)i, scarce);
    return 0;
}

static int live_in_plenty(void *arg)
{
    (void)arg;
    return live((size_t)256 << 20, false);
}

static int live_in_scarcity(void *arg)
{
    (void)arg;
    return live((size_t)3 << 20, true);
}

static void test_as_the_model(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(live_in_plenty, NULL)), 0);
}

/* Puts find no memory, now and then: then nothing has happened. Gets need none. */
static void test_as_the_model_in_scarcity(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(live_in_scarcity, NULL)), 0);
}

int main(void)
{
    const char *given = getenv("MP_TEST_SEED");
    first_seed = random_start("test_property_queue"); /* which has made it odd */
    if (given != NULL)
        first_seed = strtoull(given, NULL, 0);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_the_model),
                                       cmocka_unit_test(test_as_the_model_in_scarcity)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
