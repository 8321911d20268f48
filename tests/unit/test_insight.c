/* SPDX-License-Identifier: MIT */
/* Insights: what is counted, by whom, and what a death leaves of it. */
#include "support/workers.h"

#include <mproc/insight.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NAP 0.01

static mp_insights insights_of(const mp_pool *pool)
{
    mp_insights in;
    memset(&in, 255, sizeof in);
    assert_int_equal(mp_pool_insights(pool, &in), 0);
    return in;
}

static mp_worker_insights worker_of(const mp_pool *pool, int worker)
{
    mp_worker_insights w;
    memset(&w, 255, sizeof w);
    assert_int_equal(mp_pool_worker_insights(pool, worker, &w), 0);
    return w;
}

/* No time is counted twice: what the workers did is no more than there was. */
static void check_times(const mp_insights *in)
{
    double all = in->total.busy + in->total.waiting + in->total.starting;
    assert_true(in->total.busy >= 0 && in->total.waiting >= 0 && in->total.starting >= 0);
    assert_true(all <= in->elapsed * in->places + 0.001);
}

/* ---- options ---- */

static void only_if_asked_for(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_insights in;
    mp_worker_insights w;
    assert_int_equal(mp_pool_new(&pool, .processes = 1), 0);
    assert_int_equal(mp_pool_insights(pool, &in), MP_ESTATE);
    assert_int_equal(mp_pool_worker_insights(pool, 0, &w), MP_ESTATE);
    mp_pool_print_insights(pool, stdout);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .insights = MP_NO), 0);
    assert_int_equal(mp_pool_insights(pool, &in), MP_ESTATE);
    assert_int_equal(finish(pool), 0);
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .insights = 2), MP_EINVAL);
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .insights = MP_YES), 0);
    assert_int_equal(mp_pool_insights(pool, NULL), MP_EINVAL);
    assert_int_equal(mp_pool_insights(NULL, &in), MP_EINVAL);
    assert_int_equal(mp_pool_worker_insights(pool, 0, NULL), MP_EINVAL);
    assert_int_equal(mp_pool_worker_insights(pool, -1, &w), MP_EINVAL);
    assert_int_equal(mp_pool_worker_insights(pool, 100000, &w), MP_EINVAL);
    pid_t child = fork();
    if (child == 0)
        _exit(mp_pool_insights(pool, &in) == MP_ESTATE ? 0 : 1);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(finish(pool), 0);
}

/* ---- what is counted ---- */

static int fail_every_tenth(const void *in, void *out, void *context)
{
    (void)context;
    long x = *(const long *)in;
    *(long *)out = x;
    return x % 10 == 3 ? -5 : 0;
}

static void items_and_failures(void **state)
{
    (void)state;
    enum { N = 10000 };
    static long in[N], out[N];
    mp_pool *pool;
    count_up(in, N);
    assert_int_equal(mp_pool_new(&pool, .processes = 3, .insights = MP_YES), 0);
    for (int round = 1; round <= 3; round++) {
        assert_int_equal(MP_MAP(pool, fail_every_tenth, in, out, N), MP_ETASK);
        mp_insights all = insights_of(pool);
        assert_int_equal(all.total.items, round * N);
        assert_int_equal(all.total.failed, round * N / 10);
    }
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_insights all = insights_of(pool);
    check_times(&all);
    assert_int_equal(all.places, 3);
    assert_int_equal(all.total.starts, 3);
    assert_int_equal(all.total.deaths, 0);
    assert_int_equal(all.total.pid, 0);
    assert_int_equal(all.trace, 0);
    assert_int_equal(all.slowest_count, MP_SLOWEST);
    uint64_t items = 0;
    for (int i = 0; i < 3; i++) {
        assert_true(worker_of(pool, i).pid > 0);
        items += worker_of(pool, i).items;
    }
    assert_int_equal(items, 3 * N);
    mp_pool_free(pool);
}

/* It naps so many times NAP. */
static int nap_so_long(const void *in, void *out, void *context)
{
    (void)context;
    nap(NAP * (double)*(const long *)in);
    if (out != NULL)
        *(long *)out = getpid();
    return 0;
}

static int start_slowly(void *arg)
{
    (void)arg;
    nap(5 * NAP);
    return 0;
}

static void time_goes_where_it_was_spent(void **state)
{
    (void)state;
    long in[] = {4, 1, 2, 1, 2};
    mp_pool *pool;
    assert_int_equal(
        mp_pool_new(&pool, .processes = 1, .insights = MP_YES, .initializer = start_slowly), 0);
    assert_int_equal(mp_pool_map(pool, nap_so_long, in, sizeof *in, NULL, 0, 5), 0);
    mp_insights all = insights_of(pool);
    assert_true(all.total.starting >= 5 * NAP);
    assert_true(all.total.busy >= 10 * NAP);
    double waiting = all.total.waiting;
    nap(6 * NAP); /* the worker waits, and that is told while it lasts */
    mp_insights later = insights_of(pool);
    assert_true(later.total.waiting >= waiting + 5 * NAP);
    assert_true(later.total.busy == all.total.busy);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_insights end = insights_of(pool);
    check_times(&end);
    nap(2 * NAP);
    assert_true(insights_of(pool).elapsed == end.elapsed); /* it has ended */
    assert_true(insights_of(pool).total.waiting == end.total.waiting);
    mp_pool_free(pool);
}

/* A running item counts as long as it runs; not as an item yet. */
static void what_runs_is_busy(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_result *r;
    int in = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 1, .insights = MP_YES), 0);
    assert_int_equal(mp_pool_apply_async(pool, &r, held, &in, sizeof in, 0), 0);
    assert_true(await(&board->pid[0]) != 0);
    nap(5 * NAP);
    mp_insights all = insights_of(pool);
    assert_true(all.total.busy >= 5 * NAP);
    assert_int_equal(all.total.items, 0);
    assert_int_equal(all.slowest_count, 0);
    release(0);
    assert_int_equal(mp_result_wait(r, LONG), 0);
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

/* ---- the slowest ---- */

static void the_slowest_in_order(void **state)
{
    (void)state;
    enum { N = 400 };
    long in[N] = {0};
    mp_pool *pool;
    static const size_t slow[] = {7, 391, 55, 210, 111, 300, 16, 256, 31, 77};
    for (size_t i = 0; i < sizeof slow / sizeof *slow; i++)
        in[slow[i]] = 12 - (long)i; /* the last two are not among the eight */
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .insights = MP_YES), 0);
    assert_int_equal(mp_pool_apply(pool, nap_so_long, in, sizeof *in, NULL, 0, LONG), 0);
    assert_int_equal(mp_pool_map(pool, nap_so_long, in, sizeof *in, NULL, 0, N), 0);
    mp_insights all = insights_of(pool);
    assert_int_equal(all.slowest_count, MP_SLOWEST);
    bool seen[N] = {false};
    for (int i = 0; i < MP_SLOWEST; i++) {
        const mp_slow_item *s = &all.slowest[i];
        assert_true(s->index < N && !seen[s->index]); /* each once */
        seen[s->index] = true;
        assert_true(s->seconds >= NAP * (double)in[s->index]);
        /* Another may have had to wait for a processor; but then it is one of the slowest. */
        assert_true(s->seconds >= NAP * (12 - i));
        assert_true(i == 0 || s->seconds <= all.slowest[i - 1].seconds);
        assert_int_equal(s->work, 2);
        assert_in_range(s->worker, 0, 1);
    }
    assert_int_equal(finish(pool), 0);
}

/* ---- deaths ---- */

static int die_at_odd(const void *in, void *out, void *context)
{
    (void)out, (void)context;
    long x = *(const long *)in;
    nap(x > 0 ? 0.002 : 0);
    if (x % 4 == 1)
        raise(SIGKILL);
    if (x % 4 == 3)
        exit(3);
    return 0;
}

static void figures_survive_deaths(void **state)
{
    (void)state;
    enum { N = 41 };
    long in[N];
    mp_pool *pool;
    count_up(in, N);
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .insights = MP_YES), 0);
    assert_int_equal(mp_pool_map(pool, die_at_odd, in, sizeof *in, NULL, 0, N), MP_ECRASHED);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_insights all = insights_of(pool);
    assert_int_equal(all.total.items, 21);
    assert_int_equal(all.total.deaths, 20);
    assert_in_range(all.total.starts, 20, 22); /* nobody is started when nothing is left */
    assert_true(all.total.busy >= 40 * 0.002);
    check_times(&all);
    mp_pool_free(pool);
}

static void time_limits_are_deaths_retirement_is_none(void **state)
{
    (void)state;
    long in[6] = {0, 0, 200, 0, 0, 0};
    mp_pool *pool;
    assert_int_equal(
        mp_pool_new(&pool, .processes = 1, .insights = MP_YES, .task_timeout = 10 * NAP), 0);
    assert_int_equal(mp_pool_map(pool, nap_so_long, in, sizeof *in, NULL, 0, 6), MP_ETASKTIMEOUT);
    mp_insights all = insights_of(pool);
    assert_int_equal(all.total.items, 5);
    assert_int_equal(all.total.deaths, 1);
    assert_true(all.total.busy >= 10 * NAP);
    assert_int_equal(finish(pool), 0);
    in[2] = 0;
    assert_int_equal(
        mp_pool_new(&pool, .processes = 1, .insights = MP_YES, .max_tasks_per_child = 2), 0);
    assert_int_equal(mp_pool_map(pool, nap_so_long, in, sizeof *in, NULL, 0, 6), 0);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    all = insights_of(pool);
    assert_int_equal(all.total.items, 6);
    assert_int_equal(all.total.deaths, 0);
    assert_in_range(all.total.starts, 3, 4);
    mp_pool_free(pool);
}

/* Who reads while workers count, and die, sees whole figures; counts never go back. */
static void reading_while_they_run(void **state)
{
    (void)state;
    enum { N = 20000 };
    static long in[N], out[N];
    mp_pool *pool;
    mp_result *r;
    mp_insights before = {.places = 0};
    double begin = seconds();
    count_up(in, N);
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .insights = MP_YES), 0);
    assert_int_equal(mp_pool_map_async(pool, &r, fail_every_tenth, in, sizeof *in, sizeof *out, N),
                     0);
    bool killed = false;
    for (int i = 0; !mp_result_ready(r) || !killed || i < 10; i++) {
        mp_insights now = insights_of(pool);
        assert_true(now.total.items >= before.total.items && now.total.items <= N);
        assert_true(now.total.failed >= before.total.failed);
        assert_true(now.total.busy <= 2 * (seconds() - begin));
        for (int k = 0; k < now.slowest_count; k++)
            assert_true(now.slowest[k].index < N && now.slowest[k].work == 1);
        before = now;
        pid_t pid = worker_of(pool, 0).pid;
        if (!killed && pid > 0)
            killed = kill(pid, SIGKILL) == 0;
    }
    mp_result_free(r);
    assert_int_equal(finish(pool), 0);
}

/* ---- the ends ---- */

static void terminate_closes_the_accounts(void **state)
{
    (void)state;
    mp_pool *pool;
    mp_result *r;
    int in = 0;
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .insights = MP_YES), 0);
    assert_int_equal(mp_pool_apply_async(pool, &r, held, &in, sizeof in, 0), 0);
    assert_true(await(&board->pid[0]) != 0);
    nap(2 * NAP);
    assert_int_equal(mp_pool_terminate(pool), 0);
    mp_insights all = insights_of(pool), again;
    nap(2 * NAP);
    again = insights_of(pool);
    assert_memory_equal(&all, &again, sizeof all);
    assert_true(all.total.busy >= 2 * NAP);
    assert_int_equal(all.total.deaths, 0); /* it was meant */
    mp_result_free(r);
    mp_pool_free(pool);
}

static void the_supervisor_s_death_closes_them(void **state)
{
    (void)state;
    mp_pool *pool;
    assert_int_equal(mp_pool_new(&pool, .processes = 2, .insights = MP_YES), 0);
    pid_t supervisor = supervisor_of(pool);
    assert_true(supervisor > 0);
    kill(supervisor, SIGKILL);
    assert_int_equal(mp_pool_close(pool), 0);
    assert_int_equal(mp_pool_join(pool, LONG), 0);
    mp_insights all = insights_of(pool), again = insights_of(pool);
    assert_memory_equal(&all, &again, sizeof all);
    assert_int_equal(all.total.items, 1);
    mp_pool_free(pool);
}

/* ---- the table ---- */

static void a_table(void **state)
{
    (void)state;
    long in[100] = {0};
    mp_pool *pool;
    char text[8192] = "", longest[300];
    in[42] = 3;
    memset(longest, 'w', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        assert_int_equal(mp_pool_new(&pool, .processes = 2, .insights = MP_YES,
                                     .name = i == 0 ? "napper" : longest),
                         0);
        assert_int_equal(mp_pool_map(pool, nap_so_long, in, sizeof *in, NULL, 0, 100), 0);
        FILE *f = fmemopen(text, sizeof text, "w");
        assert_non_null(f);
        mp_pool_print_insights(pool, f);
        fclose(f);
        assert_int_equal(finish(pool), 0);
        assert_non_null(strstr(text, i == 0 ? "\nnapper-1 " : "\nwwwwwwww"));
        assert_non_null(strstr(text, i == 0 ? "\nnapper-2 " : "\nwwwwwwww"));
        assert_non_null(strstr(text, "\nall                           100        0 "));
        assert_non_null(strstr(text, "\nslowest"));
        assert_non_null(strstr(text, " s           42        1  "));
    }
    mp_pool_print_insights(NULL, stdout);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(only_if_asked_for),
        POOL_TEST(items_and_failures),
        POOL_TEST(time_goes_where_it_was_spent),
        POOL_TEST(what_runs_is_busy),
        POOL_TEST(the_slowest_in_order),
        POOL_TEST(figures_survive_deaths),
        POOL_TEST(time_limits_are_deaths_retirement_is_none),
        POOL_TEST(reading_while_they_run),
        POOL_TEST(terminate_closes_the_accounts),
        POOL_TEST(the_supervisor_s_death_closes_them),
        POOL_TEST(a_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
