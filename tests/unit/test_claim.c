/* SPDX-License-Identifier: MIT */
/* Claims by themselves: processes take ranges from a control block, are killed at random moments,
 * and their claims are resolved as the supervisor does it. Every index is handed out exactly
 * once. */
#include "pool/claim.h"
#include "support/shared.h"

#include <mproc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ptrace.h>

#include <cmocka.h>

enum { SLOTS = 4, WORKS = 40, MOST = 3000 };

struct arena_of_claims {
    mp__pool_control *control;
    mp__work *works[WORKS];
    word *runs[WORKS];  /* how often an index was settled */
    word *state[WORKS]; /* of an index: 0 untouched, 1 in hand, 2 settled */
    random_state random;
    uint32_t back;   /* once in so many items a worker gives the rest of its range back */
    uint32_t pauses; /* that an item may take */
};

static int none(const void *in, void *out, void *context)
{
    (void)in, (void)out, (void)context;
    return 0;
}

static mp__work *make_work(size_t count, size_t chunk)
{
    mp_job job = {.size = sizeof job, .task = none, .count = count, .chunksize = chunk};
    mp__work_order order = {.job = &job, .workers = SLOTS};
    mp__work *w = NULL;
    assert_int_equal(mp__work_create(&w, &order), 0);
    return w;
}

static mp__pool_control *make_control(void)
{
    mp__pool_control *c =
        mp_shared_calloc(1, sizeof(mp__pool_control) + (SLOTS + 1) * sizeof(mp__slot));
    assert_non_null(c);
    c->slots = SLOTS;
    mp__store_relaxed(&c->used, SLOTS);
    mp__work *first = make_work(0, 0);
    mp__store_relaxed(&first->state, MP__WORK_DONE);
    mp__store_relaxed(&c->first, first);
    return c;
}

static void append(mp__work **last, mp__work *w)
{
    mp__store_seq(&(*last)->following, w);
    *last = w;
}

static int number_of(const struct arena_of_claims *a, const mp__work *w)
{
    for (int k = 0; k < WORKS; k++)
        if (a->works[k] == w)
            return k;
    return -1;
}

/* Settles a range item by item, as a worker does; sometimes it gives the rest back and takes it up
 * again. */
static int settle_range(struct arena_of_claims *a, mp__slot *s, mp__range r, random_state *random)
{
    int k = number_of(a, mp__load_relaxed(&s->work));
    CHECK(k >= 0);
    for (uint64_t i = r.start; i < r.end; i++) {
        mp__store_release(&s->item, i << 1 | 1);
        CHECK(mp__add_seq(&a->state[k][i], 1) == 0); /* nobody else has it */
        for (uint32_t n = k % 2 != 0 ? random_below(random, a->pauses) : 0; n > 0; n--)
            mp__pause(); /* the other works are nothing but claims */
        mp__add_seq(&a->runs[k][i], 1);
        mp__store_seq(&a->state[k][i], 2);
        if (random_below(random, a->back) == 0) {
            mp__claim_set(a->control, s, (mp__range){i + 1, r.end});
            if (i + 1 == r.end)
                return 0;
            CHECK(mp__claim_get(s, &r) && r.start == i + 1);
        }
    }
    mp__store_release(&s->item, r.end << 1);
    if (random_below(random, 4) == 0)
        mp__claim_set(a->control, s, (mp__range){r.end, r.end});
    return 0;
}

static int claim_and_settle(struct arena_of_claims *a, uint32_t slot, random_state random)
{
    mp__slot *s = &a->control->slot[slot];
    mp__pace pace = {0, 0};
    mp__range r;
    while ((mp__claim_get(s, &r) && r.start < r.end) ||
           mp__claim_take(a->control, slot, &pace, &r)) {
        CHECK(r.start < r.end);
        pace.units = 1 + random_below(&random, 20);
        if (settle_range(a, s, r, &random) != 0)
            return 1;
    }
    mp__claim_forget(s);
    return 0;
}

static pid_t start_worker(struct arena_of_claims *a, uint32_t slot)
{
    random_state seed = random_next(&a->random) | 1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(240);
        _exit(claim_and_settle(a, slot, seed));
    }
    return pid;
}

/* What the supervisor does about a dead worker; the item in hand counts as settled. */
static void resolve(struct arena_of_claims *a, uint32_t slot)
{
    mp__slot *s = &a->control->slot[slot];
    mp__claim_resolve(a->control, slot);
    mp__work *w = mp__load_relaxed(&s->work);
    mp__range r;
    if (mp__claim_get(s, &r)) {
        uint64_t item = mp__load_acquire(&s->item);
        assert_in_range(item >> 1, r.start, r.end);
        r.start = item >> 1;
        if (item & 1) {
            int k = number_of(a, w);
            assert_true(k >= 0);
            /* It died before it took it in hand, meanwhile, or after it. */
            mp__store_relaxed(&a->runs[k][r.start], 1);
            mp__store_relaxed(&a->state[k][r.start], 2);
            r.start++;
        }
        mp__claim_set(a->control, s, r);
    } else if (w != NULL) {
        mp__claim_finish(a->control, w);
    }
    if (!mp__claim_get(s, &r))
        mp__claim_forget(s);
}

/* Runs workers until nothing is left, killing them at random. Returns how many kills hit. */
static int storm(struct arena_of_claims *a, int kills)
{
    pid_t pids[SLOTS];
    int hits = 0;
    for (uint32_t i = 0; i < SLOTS; i++)
        pids[i] = start_worker(a, i);
    while (mp__claim_any(a->control) || hits < 0) {
        uint32_t victim = random_below(&a->random, SLOTS);
        nap(1e-6 * random_below(&a->random, 200));
        if (hits < kills)
            kill(pids[victim], SIGKILL);
        for (uint32_t i = 0; i < SLOTS; i++) {
            int status;
            if (waitpid(pids[i], &status, hits < kills && i == victim ? 0 : WNOHANG) <= 0)
                continue;
            assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
            hits += WIFSIGNALED(status);
            resolve(a, i);
            pids[i] = start_worker(a, i);
        }
    }
    for (uint32_t i = 0; i < SLOTS; i++)
        assert_int_equal(child_end(pids[i]), 0);
    return hits;
}

static size_t count_of(struct arena_of_claims *a)
{
    return 1 + random_below(&a->random, random_below(&a->random, 2) != 0 ? 3 : MOST);
}

static void every_index_exactly_once(void **state)
{
    (void)state;
    struct arena_of_claims a = {
        .random = random_start("every_index_exactly_once"), .back = 50, .pauses = 400};
    int hits = 0;
    assert_int_equal(mp_init(), 0);
    size_t before = bytes_in_use();
    for (int round = 0; round < fewer(25); round++) {
        a.control = make_control();
        mp__work *dummy = mp__load_relaxed(&a.control->first), *last = dummy;
        for (int k = 0; k < WORKS; k++) {
            size_t count = count_of(&a);
            static const size_t chunks[] = {0, 1, 2, 17, 70000};
            a.works[k] = make_work(count, chunks[random_below(&a.random, 5)]);
            a.runs[k] = common(count * sizeof(word));
            a.state[k] = common(count * sizeof(word));
            append(&last, a.works[k]);
        }
        hits += storm(&a, 60);
        for (int k = 0; k < WORKS; k++) {
            const mp__work *w = a.works[k];
            assert_true(mp__work_is_done(w));
            assert_int_equal(mp__claim_left(a.control, w), 0);
            for (uint64_t i = 0; i < w->count; i++)
                if (a.runs[k][i] != 1 || a.state[k][i] != 2)
                    fail_msg("work %d of %llu items: %llu ran %u times, state %u", k,
                             (unsigned long long)w->count, (unsigned long long)i, a.runs[k][i],
                             a.state[k][i]);
            munmap((void *)a.runs[k], w->count * sizeof(word));
            munmap((void *)a.state[k], w->count * sizeof(word));
            mp__work_free(a.works[k]);
        }
        mp__work_free(dummy);
        mp_shared_free(a.control);
    }
    printf("%d kills hit\n", hits);
    assert_true(hits > 0);
    assert_int_equal(bytes_in_use(), before);
}

static uint64_t stop(mp__pool_control *c, mp__work *w, bool untouched)
{
    return mp__claim_stop(c, w, untouched, &mp__work_canceled);
}

/* A worker that is killed at each moment of a claim, which another one then moves past. */
static void a_stop_hands_out_the_rest_once(void **state)
{
    (void)state;
    assert_int_equal(mp_init(), 0);
    mp__pool_control *c = make_control();
    mp__work *dummy = mp__load_relaxed(&c->first), *last = dummy;
    mp__work *w = make_work(100, 10), *untouched = make_work(5, 0);
    mp__pace pace = {0, 0};
    mp__range r;
    append(&last, w);
    append(&last, untouched);
    assert_true(mp__claim_take(c, 0, &pace, &r)); /* of its own lane, then another's end */
    assert_true(r.start == 0 && r.end == 10);
    assert_true(mp__claim_take(c, 3, &pace, &r));
    assert_true(r.start == 70 && r.end == 80);
    assert_int_equal(mp__claim_left(c, w), 100);
    assert_int_equal(stop(c, w, true), 0); /* it is touched */
    assert_int_equal(stop(c, w, false), 80);
    assert_int_equal(stop(c, w, false), 0); /* once */
    assert_int_equal(mp__claim_left(c, w), 20);
    assert_true(mp__claim_any(c));
    mp__claim_set(c, &c->slot[0], (mp__range){4, 10});
    assert_true(mp__claim_get(&c->slot[0], &r) && r.start == 4 && r.end == 10);
    mp__claim_finish(c, w);
    assert_false(mp__work_is_done(w));
    mp__claim_set(c, &c->slot[0], (mp__range){10, 10});
    assert_true(mp__claim_get(&c->slot[0], &r) == false);
    assert_false(mp__work_is_done(w));
    mp__claim_set(c, &c->slot[3], (mp__range){80, 80}); /* the last one finishes it */
    assert_true(mp__work_is_done(w));
    assert_int_equal(stop(c, untouched, true), 5);
    assert_true(mp__work_is_done(untouched));
    assert_false(mp__claim_take(c, 2, &pace, &r));
    assert_false(mp__claim_any(c));
    mp__work_free(w);
    mp__work_free(untouched);
    mp__work_free(dummy);
    mp_shared_free(c);
}

/* ---- every instruction ---- */

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED true
#elif defined(__has_feature)
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED false
#endif

/* A worker in slot 0 that dies after so many instructions. Returns false if it had ended by
 * then. */
static bool die_after(struct arena_of_claims *a, int instructions)
{
    int status = 0;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(240);
        ptrace(PTRACE_TRACEME, 0, NULL, NULL);
        raise(SIGSTOP);
        _exit(claim_and_settle(a, 0, 99));
    }
    bool lives = waitpid(pid, &status, 0) == pid && WIFSTOPPED(status);
    for (int i = 0; i < instructions && lives; i++) {
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, NULL) != 0 || waitpid(pid, &status, 0) != pid)
            fail_msg("cannot step");
        lives = WIFSTOPPED(status);
    }
    if (lives)
        child_kill(pid);
    else
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return lives;
}

static void make_small_works(struct arena_of_claims *a, word *cells)
{
    mp__work *last;
    memset((void *)cells, 0, 64 * sizeof *cells);
    a->control = make_control();
    last = mp__load_relaxed(&a->control->first);
    static const size_t counts[] = {3, 1, 2}, chunks[] = {2, 0, 1};
    for (int k = 0; k < 3; k++) {
        a->works[k] = make_work(counts[k], chunks[k]);
        a->runs[k] = cells + 8 * k;
        a->state[k] = cells + 32 + 8 * k;
        append(&last, a->works[k]);
    }
}

static void check_small_works(struct arena_of_claims *a, int instructions)
{
    for (int k = 0; k < 3; k++) {
        if (!mp__work_is_done(a->works[k]))
            fail_msg("work %d is not done after a death at %d", k, instructions);
        for (uint64_t i = 0; i < a->works[k]->count; i++)
            if (a->runs[k][i] != 1)
                fail_msg("work %d, item %d: %u times after a death at %d", k, (int)i, a->runs[k][i],
                         instructions);
        mp__work_free(a->works[k]);
    }
}

/* One death, after which another worker goes on before, or only after the dead one's claim is
 * resolved; then the next one in its slot takes up the rest. */
static bool one_death(struct arena_of_claims *a, word *cells, int instructions, bool others_first)
{
    make_small_works(a, cells);
    mp__work *dummy = mp__load_relaxed(&a->control->first);
    bool died = die_after(a, instructions);
    if (others_first)
        assert_int_equal(claim_and_settle(a, 1, 7), 0);
    if (died)
        resolve(a, 0);
    assert_int_equal(claim_and_settle(a, 0, 7), 0);
    assert_int_equal(claim_and_settle(a, 1, 7), 0);
    check_small_works(a, instructions);
    mp__work_free(dummy);
    mp_shared_free(a->control);
    return died;
}

static void a_death_at_every_instruction(void **state)
{
    (void)state;
    if (getenv("MP_TEST_VALGRIND") != NULL || SANITIZED)
        skip(); /* which run other instructions, and many more */
    struct arena_of_claims a = {.random = random_start("a_death"), .back = 2, .pauses = 1};
    word *cells = common(64 * sizeof *cells);
    uint32_t stride = 37; /* all of them take minutes; each run looks at others */
    int instructions = (int)random_below(&a.random, stride);
    assert_int_equal(mp_init(), 0);
    while (one_death(&a, cells, instructions, false) && one_death(&a, cells, instructions, true))
        instructions += (int)stride;
    printf("%d instructions\n", instructions);
    assert_true(instructions > 100);
    munmap((void *)cells, 64 * sizeof *cells);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stop_hands_out_the_rest_once),
        cmocka_unit_test(a_death_at_every_instruction),
        cmocka_unit_test(every_index_exactly_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
