/* SPDX-License-Identifier: MIT */
/* A process object from its creation to its end: states, codes, arguments, data, signals, repr. */
#include "support/program.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int give_back(void *arg)
{
    return (int)(intptr_t)arg;
}

static mp_process *started(mp_target target, void *arg)
{
    mp_process *p;
    assert_int_equal(mp_process_new(&p, .target = target, .arg = arg), 0);
    assert_int_equal(mp_process_start(p), 0);
    return p;
}

/* Started, and running its function. */
static mp_process *living(int slot)
{
    mp_process *p = started(live_on, SLOT(slot));
    assert_true(await(&board->pid[slot]));
    return p;
}

static void finish(mp_process *p, int exitcode)
{
    assert_int_equal(mp_process_join(p, LONG), 0);
    assert_int_equal(mp_process_exitcode(p), exitcode);
    assert_int_equal(mp_process_free(p), 0);
}

static int run_nothing(mp_process *self)
{
    (void)self;
    return 0;
}

static void options_are_checked(void **state)
{
    (void)state;
    static const mp_process_class good = {"Good", 0, run_nothing};
    static const mp_process_class no_run = {"Bad", 0, NULL};
    static const mp_process_class no_name = {NULL, 0, run_nothing};
    mp_process *p = (void *)1;
    assert_int_equal(mp_process_create(NULL, NULL), MP_EINVAL);
    assert_int_equal(mp_process_create(&p, &(mp_process_options){.size = 0}), MP_EINVAL);
    assert_null(p);
    assert_int_equal(mp_process_new(&p, .daemon = 2), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .daemon = -2), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .start_method = MP_START_SPAWN), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .start_method = MP_START_FORKSERVER), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .start_method = 4), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .subclass = &no_run), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .subclass = &no_name), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .subclass = &good, .target = nothing), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .target = nothing, .init = "x"), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .target = nothing, .arg_size = 3), MP_EINVAL);
    assert_int_equal(mp_process_new(&p, .arg = (void *)1), MP_EINVAL);
    assert_null(p);
    assert_int_equal(mp_process_new(&p, .subclass = &good, .start_method = MP_START_FORK), 0);
    assert_int_equal(mp_process_free(p), 0);
}

static void null_is_answered(void **state)
{
    (void)state;
    char text[8] = "x";
    assert_int_equal(mp_process_start(NULL), MP_EINVAL);
    assert_int_equal(mp_process_join(NULL, 0), MP_EINVAL);
    assert_int_equal(mp_process_terminate(NULL), MP_EINVAL);
    assert_int_equal(mp_process_kill(NULL), MP_EINVAL);
    assert_int_equal(mp_process_interrupt(NULL), MP_EINVAL);
    assert_int_equal(mp_process_sentinel(NULL), MP_EINVAL);
    assert_int_equal(mp_process_set_name(NULL, "x"), MP_EINVAL);
    assert_int_equal(mp_process_set_daemon(NULL, true), MP_EINVAL);
    assert_int_equal(mp_process_exitcode(NULL), MP_NO_EXITCODE);
    assert_int_equal(mp_process_pid(NULL), 0);
    assert_int_equal(mp_process_parent_pid(NULL), 0);
    assert_false(mp_process_is_alive(NULL));
    assert_false(mp_process_daemon(NULL));
    assert_null(mp_process_name(NULL));
    assert_null(mp_process_data(NULL));
    assert_int_equal(mp_process_free(NULL), 0);
    assert_string_equal(mp_process_repr(NULL, text, 0), "");
    assert_string_equal(mp_process_repr(NULL, NULL, 5), "");
    assert_string_equal(mp_process_repr(NULL, text, sizeof text), "<Proces");
    assert_int_equal(mp_active_children(NULL, 1), MP_EINVAL);
    assert_int_equal(mp_active_children(NULL, -1), MP_EINVAL);
}

static void before_its_start(void **state)
{
    (void)state;
    mp_process *p;
    assert_int_equal(mp_process_create(&p, NULL), 0);
    assert_int_equal(mp_process_pid(p), 0);
    assert_int_equal(mp_process_parent_pid(p), getpid());
    assert_int_equal(mp_process_exitcode(p), MP_NO_EXITCODE);
    assert_false(mp_process_is_alive(p));
    assert_int_equal(mp_process_join(p, MP_FOREVER), MP_ESTATE);
    assert_int_equal(mp_process_terminate(p), MP_ESTATE);
    assert_int_equal(mp_process_kill(p), MP_ESTATE);
    assert_int_equal(mp_process_interrupt(p), MP_ESTATE);
    assert_int_equal(mp_process_sentinel(p), MP_ESTATE);
    assert_int_equal(mp_process_set_daemon(p, true), 0);
    assert_true(mp_process_daemon(p));
    assert_int_equal(mp_process_set_daemon(p, false), 0);
    assert_false(mp_process_daemon(p));
    assert_int_equal(mp_process_free(p), 0);
}

static void while_it_runs(void **state)
{
    (void)state;
    mp_process *p = living(0);
    assert_int_equal(mp_process_pid(p), board->pid[0]);
    assert_true(mp_process_is_alive(p));
    assert_int_equal(mp_process_exitcode(p), MP_NO_EXITCODE);
    assert_int_equal(mp_process_start(p), MP_ESTATE);
    assert_int_equal(mp_process_set_daemon(p, true), MP_ESTATE);
    assert_int_equal(mp_process_join(p, MP_NO_WAIT), MP_ETIMEDOUT);
    assert_int_equal(mp_process_join(p, 0), MP_ETIMEDOUT);
    assert_int_equal(mp_process_join(p, 0.01), MP_ETIMEDOUT);
    assert_int_equal(mp_process_join(p, __builtin_nan("")), MP_EINVAL);
    assert_int_equal(mp_process_free(p), MP_ESTATE);
    assert_int_equal(mp_process_kill(p), 0);
    finish(p, -SIGKILL);
}

static void after_its_end(void **state)
{
    (void)state;
    mp_process *p = started(give_back, SLOT(7));
    assert_int_equal(mp_process_join(p, LONG), 0);
    assert_int_equal(mp_process_join(p, 0), 0);
    assert_int_equal(mp_process_join(p, MP_FOREVER), 0);
    assert_false(mp_process_is_alive(p));
    assert_int_equal(mp_process_exitcode(p), 7);
    assert_int_equal(mp_process_start(p), MP_ESTATE);
    assert_int_equal(mp_process_set_daemon(p, true), MP_ESTATE);
    assert_int_equal(mp_process_terminate(p), 0);
    assert_int_equal(mp_process_kill(p), 0);
    assert_int_equal(mp_process_interrupt(p), 0);
    struct pollfd sentinel = {.fd = mp_process_sentinel(p), .events = POLLIN};
    assert_int_equal(poll(&sentinel, 1, 0), 1);
    finish(p, 7);
}

static void without_target_it_exits_with_0(void **state)
{
    (void)state;
    mp_process *p;
    assert_int_equal(mp_process_create(&p, NULL), 0);
    assert_int_equal(mp_process_start(p), 0);
    finish(p, 0);
}

static int say_interrupted(void *arg)
{
    (void)arg;
    sigset_t set;
    int number = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, NULL);
    atomic_store(&board->flag[0], 1);
    sigwait(&set, &number);
    return number;
}

static void signals_arrive(void **state)
{
    (void)state;
    mp_process *p = living(0);
    assert_int_equal(mp_process_terminate(p), 0);
    finish(p, -SIGTERM);
    p = living(1);
    assert_int_equal(mp_process_interrupt(p), 0);
    finish(p, -SIGINT);
    p = started(say_interrupted, NULL);
    assert_true(await(&board->flag[0]));
    assert_int_equal(mp_process_interrupt(p), 0);
    finish(p, SIGINT);
}

static int sum(void *arg)
{
    const int *numbers = arg;
    return numbers[0] + numbers[1];
}

static void argument_bytes_are_copied(void **state)
{
    (void)state;
    int numbers[2] = {20, 22};
    mp_process *copied, *shared;
    assert_int_equal(
        mp_process_new(&copied, .target = sum, .arg = numbers, .arg_size = sizeof numbers), 0);
    assert_int_equal(mp_process_new(&shared, .target = sum, .arg = numbers), 0);
    numbers[0] = 60;
    assert_int_equal(mp_process_start(copied), 0);
    assert_int_equal(mp_process_start(shared), 0);
    finish(copied, 42);
    finish(shared, 82);
}

struct counter {
    long double start;
    int steps;
};

static int count(mp_process *self)
{
    struct counter *c = mp_process_data(self);
    CHECK(self == mp_current_process());
    CHECK(c->start == 40);
    CHECK(c->steps == 5); /* set by the parent before the start */
    c->start += 2;
    return (int)c->start;
}

static const mp_process_class counter_class = {"Counter", sizeof(struct counter), count};

static void subclass_has_data_and_run(void **state)
{
    (void)state;
    struct counter initial = {40, 1};
    mp_process *p;
    assert_int_equal(mp_process_new(&p, .subclass = &counter_class), 0);
    struct counter *c = mp_process_data(p);
    assert_true((uintptr_t)c % _Alignof(max_align_t) == 0);
    assert_true(c->start == 0 && c->steps == 0);
    assert_int_equal(mp_process_free(p), 0);

    assert_int_equal(mp_process_new(&p, .subclass = &counter_class, .init = &initial), 0);
    initial.start = 0;
    c = mp_process_data(p);
    c->steps = 5;
    assert_int_equal(mp_process_start(p), 0);
    assert_int_equal(mp_process_join(p, LONG), 0);
    assert_true(c->start == 40); /* the child had its own copy */
    finish(p, 42);
}

static int use_foreign(void *arg)
{
    mp_process *const *p = arg;
    char text[200];
    for (int i = 0; i < 2; i++) {
        CHECK(mp_process_start(p[i]) == MP_ESTATE);
        CHECK(mp_process_join(p[i], 0) == MP_ESTATE);
        CHECK(mp_process_terminate(p[i]) == MP_ESTATE);
        CHECK(mp_process_kill(p[i]) == MP_ESTATE);
        CHECK(mp_process_sentinel(p[i]) == MP_ESTATE);
        CHECK(!mp_process_is_alive(p[i]));
        CHECK(mp_process_exitcode(p[i]) == MP_NO_EXITCODE);
        CHECK(strstr(mp_process_repr(p[i], text, sizeof text), " unknown>") != NULL);
    }
    CHECK(mp_active_children(NULL, 0) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(mp_process_free(p[i]) == 0);
    return 0;
}

static void handles_of_another_process(void **state)
{
    (void)state;
    mp_process *p[2];
    p[0] = living(0);
    assert_int_equal(mp_process_create(&p[1], NULL), 0);
    int sentinel = mp_process_sentinel(p[0]);
    mp_process *child = started(use_foreign, p);
    finish(child, 0);
    assert_int_equal(child_end(child_start(use_foreign, p)), 0); /* plain fork() */
    assert_int_equal(mp_process_sentinel(p[0]), sentinel);
    assert_true(mp_process_is_alive(p[0]));
    assert_int_equal(mp_process_kill(p[0]), 0);
    finish(p[0], -SIGKILL);
    assert_int_equal(mp_process_free(p[1]), 0);
}

static int handle_itself(void *arg)
{
    (void)arg;
    mp_process *self = mp_current_process();
    CHECK(mp_process_is_alive(self));
    CHECK(mp_process_pid(self) == getpid());
    CHECK(mp_process_join(self, MP_FOREVER) == MP_ESTATE);
    CHECK(mp_process_sentinel(self) == MP_ESTATE);
    CHECK(mp_process_start(self) == MP_ESTATE);
    CHECK(mp_process_set_daemon(self, true) == MP_ESTATE);
    CHECK(mp_process_exitcode(self) == MP_NO_EXITCODE);
    CHECK(mp_process_free(self) == MP_ESTATE);
    CHECK(mp_process_terminate(self) == 0);
    return 1;
}

static void calls_on_itself(void **state)
{
    (void)state;
    finish(started(handle_itself, NULL), -SIGTERM);
    assert_int_equal(mp_process_join(mp_current_process(), 0), MP_ESTATE);
    assert_int_equal(mp_process_free(mp_current_process()), MP_ESTATE);
}

static int read_stdin(void *arg)
{
    (void)arg;
    char byte;
    CHECK(getchar() == EOF);
    return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}

static void stdin_reads_nothing(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDIN_FILENO);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "text", 4), 4);
    dup2(ends[0], STDIN_FILENO);
    finish(started(read_stdin, NULL), 0);
    char text[8];
    assert_int_equal(read(STDIN_FILENO, text, sizeof text), 4); /* the parent's is untouched */
    dup2(saved, STDIN_FILENO);
    close(saved);
    close(ends[0]);
    close(ends[1]);
}

static void errno_is_left_alone(void **state)
{
    (void)state;
    errno = 4711;
    mp_process *p = started(nothing, NULL);
    assert_int_equal(mp_process_join(p, LONG), 0);
    assert_false(mp_process_is_alive(p));
    assert_int_equal(mp_process_terminate(p), 0);
    assert_int_equal(mp_process_free(p), 0);
    assert_int_equal(errno, 4711);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, board_setup)
    const struct CMUnitTest tests[] = {
        T(options_are_checked),
        T(null_is_answered),
        T(before_its_start),
        T(while_it_runs),
        T(after_its_end),
        T(without_target_it_exits_with_0),
        T(signals_arrive),
        T(argument_bytes_are_copied),
        T(subclass_has_data_and_run),
        T(handles_of_another_process),
        T(calls_on_itself),
        T(stdin_reads_nothing),
        T(errno_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
