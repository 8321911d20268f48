/* SPDX-License-Identifier: MIT */
/* Who is who: names along the ancestry, the current process, its parent, repr. */
#include "support/program.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static int run_nothing(mp_process *self)
{
    (void)self;
    return 0;
}

static const mp_process_class my_class = {"MyProcess", 0, run_nothing};

static bool named(const mp_process_options *options, const char *name)
{
    mp_process *p;
    if (mp_process_create(&p, options) < 0)
        return false;
    bool same = strcmp(mp_process_name(p), name) == 0;
    if (!same)
        fprintf(stderr, "%s instead of %s\n", mp_process_name(p), name);
    return mp_process_free(p) == 0 && same;
}

#define NAMED(name, ...)                                                                           \
    named(&(mp_process_options){.size = sizeof(mp_process_options), __VA_ARGS__}, name)

static int run_child(mp_target target, const char *name)
{
    mp_process *p;
    CHECK(mp_process_new(&p, .target = target, .name = name) == 0);
    CHECK(mp_process_start(p) == 0);
    CHECK(mp_process_join(p, LONG) == 0);
    CHECK(mp_process_exitcode(p) == 0);
    CHECK(mp_process_free(p) == 0);
    return 0;
}

static int name_great_grandchildren(void *arg)
{
    (void)arg;
    CHECK(strcmp(mp_process_name(mp_current_process()), "Process-2:1") == 0);
    CHECK(strcmp(mp_process_name(mp_parent_process()), "foo") == 0);
    CHECK(named(NULL, "Process-2:1:1"));
    CHECK(NAMED("MyProcess-2:1:2", .subclass = &my_class));
    return 0;
}

static int name_grandchildren(void *arg)
{
    CHECK(strcmp(mp_process_name(mp_current_process()), arg != NULL ? arg : "foo") == 0);
    CHECK(strcmp(mp_process_name(mp_parent_process()), "MainProcess") == 0);
    CHECK(run_child(name_great_grandchildren, NULL) == 0); /* "Process-2:1", though we are "foo" */
    CHECK(NAMED("MyProcess-2:2", .subclass = &my_class));
    CHECK(NAMED("x", .name = "x"));
    CHECK(named(NULL, "Process-2:4"));
    return 0;
}

static int name_family(void *arg)
{
    (void)arg;
    CHECK(named(NULL, "Process-1"));
    CHECK(run_child(name_grandchildren, "foo") == 0); /* counts, too: its identity is 2 */
    CHECK(NAMED("MyProcess-3", .subclass = &my_class));
    CHECK(NAMED("", .name = ""));
    CHECK(named(NULL, "Process-5"));
    return 0;
}

static void names_count_along_the_ancestry(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(name_family, NULL)), 0);
}

static void names_can_be_set(void **state)
{
    (void)state;
    mp_process *p;
    char name[] = "before";
    assert_int_equal(mp_process_new(&p, .name = name), 0);
    name[0] = 'x';
    assert_string_equal(mp_process_name(p), "before");
    assert_int_equal(mp_process_set_name(p, NULL), MP_EINVAL);
    assert_int_equal(mp_process_set_name(p, "after"), 0);
    assert_string_equal(mp_process_name(p), "after");
    assert_int_equal(mp_process_set_name(p, mp_process_name(p)), 0); /* its own */
    assert_string_equal(mp_process_name(p), "after");
    assert_int_equal(mp_process_free(p), 0);
}

/* In a program: nothing of the library was used before. */
static int look_at_itself(void *arg)
{
    (void)arg;
    char text[200];
    mp_process *self = mp_current_process();
    CHECK(self != NULL && self == mp_current_process());
    CHECK(strcmp(mp_process_name(self), "MainProcess") == 0);
    CHECK(mp_process_pid(self) == getpid());
    CHECK(mp_process_parent_pid(self) == 0);
    CHECK(mp_process_is_alive(self) && !mp_process_daemon(self));
    CHECK(mp_parent_process() == NULL);
    CHECK(strcmp(mp_process_repr(self, text, sizeof text),
                 "<_MainProcess name='MainProcess' parent=None started>") == 0);
    pid_t pid = fork();
    if (pid == 0) { /* a program of its own, with the same name */
        CHECK(mp_process_pid(mp_current_process()) == getpid());
        CHECK(strcmp(mp_process_name(mp_current_process()), "MainProcess") == 0);
        CHECK(mp_parent_process() == NULL);
        CHECK(named(NULL, "Process-1"));
        _exit(0);
    }
    return child_end(pid);
}

static void a_program_is_the_main_process(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(look_at_itself, NULL)), 0);
}

static int look_around(void *arg)
{
    const mp_process *const *known = arg;
    char text[200], expected[200];
    mp_process *self = mp_current_process(), *parent = mp_parent_process();
    CHECK(self == known[0] && parent != NULL && parent != known[1]);
    CHECK(mp_process_parent_pid(self) == getppid());
    snprintf(expected, sizeof expected, "<Process name='x' parent=%d started daemon>", getppid());
    CHECK(strcmp(mp_process_repr(self, text, sizeof text), expected) == 0);

    CHECK(mp_process_pid(parent) == getppid());
    CHECK(mp_process_is_alive(parent));
    CHECK(mp_process_join(parent, 0) == MP_ETIMEDOUT);
    CHECK(mp_process_exitcode(parent) == MP_NO_EXITCODE);
    CHECK(mp_process_terminate(parent) == MP_ESTATE);
    CHECK(mp_process_start(parent) == MP_ESTATE);
    CHECK(mp_process_free(parent) == MP_ESTATE);
    snprintf(expected, sizeof expected,
             "<_ParentProcess name='MainProcess' pid=%d parent=None started>", getppid());
    CHECK(strcmp(mp_process_repr(parent, text, sizeof text), expected) == 0);

    CHECK(mp_process_pid(known[1]) == getppid()); /* what was the current process is a stranger's */
    CHECK(!mp_process_is_alive(known[1]));
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(mp_process_pid(mp_current_process()) == getpid());
        CHECK(strcmp(mp_process_name(mp_current_process()), "x") == 0);
        CHECK(mp_parent_process() == NULL);
        CHECK(named(NULL, "Process-1:1"));
        _exit(0);
    }
    return child_end(pid);
}

static int start_looker(void *arg)
{
    (void)arg;
    mp_process *known[2] = {NULL, mp_current_process()};
    mp_process *p;
    CHECK(mp_process_new(&p, .target = look_around, .arg = known, .name = "x", .daemon = true) ==
          0);
    known[0] = p;
    CHECK(mp_process_start(p) == 0);
    CHECK(mp_process_join(p, LONG) == 0);
    return mp_process_exitcode(p);
}

static void a_child_knows_itself_and_its_parent(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(start_looker, NULL)), 0);
}

/* Outlives its parent; `early` asks for the sentinel while the parent lives. */
static int survive(bool early)
{
    mp_process *parent = mp_parent_process();
    struct pollfd sentinel = {.fd = -1, .events = POLLIN};
    if (early) {
        sentinel.fd = mp_process_sentinel(parent);
        CHECK(sentinel.fd >= 0 && poll(&sentinel, 1, 0) == 0);
    }
    CHECK(mp_process_is_alive(parent) || !early);
    atomic_store(&board->pid[early], getpid());
    if (!early)
        CHECK(await(&board->flag[1]));
    CHECK(mp_process_join(parent, LONG) == 0);
    CHECK(!mp_process_is_alive(parent));
    sentinel.fd = mp_process_sentinel(parent);
    CHECK(sentinel.fd >= 0 && poll(&sentinel, 1, 60000) == 1);
    mp_waitable item = {.kind = MP_WAIT_PROCESS, .object = parent};
    CHECK(mp_wait(&item, 1, LONG) == 1);
    char text[200];
    CHECK(strstr(mp_process_repr(parent, text, sizeof text), " stopped>") != NULL);
    return 0;
}

static int survive_late(void *arg)
{
    (void)arg;
    return survive(false);
}

static int survive_early(void *arg)
{
    (void)arg;
    return survive(true);
}

static int start_survivors(void *arg)
{
    (void)arg;
    static const mp_target targets[] = {survive_late, survive_early, live_on};
    for (int i = 0; i < 3; i++) { /* the later sibling hides nothing: B4 of the known pains */
        mp_process *p;
        CHECK(mp_process_new(&p, .target = targets[i], .arg = i == 2 ? SLOT(2) : NULL) == 0);
        CHECK(mp_process_start(p) == 0);
    }
    CHECK(await(&board->pid[2]));
    return live_on(SLOT(3));
}

static void a_child_sees_its_parents_end(void **state)
{
    (void)state;
    if (getenv("MP_TEST_VALGRIND") != NULL)
        skip(); /* it has no pidfd */
    pid_t program = child_start(start_survivors, NULL);
    for (int i = 0; i < 4; i++)
        assert_true(await(&board->pid[i]));
    assert_int_equal(child_kill(program), -SIGKILL);
    atomic_store(&board->flag[1], 1);
    assert_int_equal(child_end(board->pid[0]), 0);
    assert_int_equal(child_end(board->pid[1]), 0);
    assert_int_equal(child_kill(board->pid[2]), -SIGKILL);
}

__attribute__((format(printf, 2, 3))) static void check_repr(const mp_process *p,
                                                             const char *format, ...)
{
    char text[200], expected[200];
    va_list args;
    va_start(args, format);
    vsnprintf(expected, sizeof expected, format, args);
    va_end(args);
    assert_string_equal(mp_process_repr(p, text, sizeof text), expected);
}

static int give_back(void *arg)
{
    return (int)(intptr_t)arg;
}

static void repr_tells_the_state(void **state)
{
    (void)state;
    int me = getpid();
    mp_process *p;
    assert_int_equal(mp_process_new(&p, .name = "a", .target = live_on, .daemon = true), 0);
    check_repr(p, "<Process name='a' parent=%d initial daemon>", me);
    assert_int_equal(mp_process_start(p), 0);
    int pid = mp_process_pid(p);
    check_repr(p, "<Process name='a' pid=%d parent=%d started daemon>", pid, me);
    assert_int_equal(mp_process_terminate(p), 0);
    assert_int_equal(mp_process_join(p, LONG), 0);
    check_repr(p, "<Process name='a' pid=%d parent=%d stopped exitcode=-SIGTERM daemon>", pid, me);
    char text[20];
    assert_string_equal(mp_process_repr(p, text, sizeof text), "<Process name='a' p");
    assert_string_equal(mp_process_repr(p, text, 1), "");
    assert_int_equal(mp_process_free(p), 0);

    assert_int_equal(mp_process_new(&p, .name = "b", .target = give_back, .arg = SLOT(300)), 0);
    assert_int_equal(mp_process_start(p), 0);
    assert_int_equal(mp_process_join(p, LONG), 0);
    pid = mp_process_pid(p);
    check_repr(p, "<Process name='b' pid=%d parent=%d stopped exitcode=300>", pid, me);
    assert_int_equal(mp_process_free(p), 0);

    assert_int_equal(mp_process_new(&p, .name = "c", .subclass = &my_class), 0);
    check_repr(p, "<MyProcess name='c' parent=%d initial>", me);
    assert_int_equal(mp_process_free(p), 0);
}

static void start_methods(void **state)
{
    (void)state;
    assert_int_equal(mp_get_start_method(), MP_START_FORK);
    assert_int_equal(mp_set_start_method(MP_START_FORK), 0);
    assert_int_equal(mp_set_start_method(MP_START_SPAWN), MP_EINVAL);
    assert_int_equal(mp_set_start_method(MP_START_FORKSERVER), MP_EINVAL);
    assert_int_equal(mp_set_start_method(0), MP_EINVAL);
    assert_int_equal(mp_get_start_method(), MP_START_FORK);
}

static int on_one_processor(void *arg)
{
    (void)arg;
    cpu_set_t set;
    CHECK(sched_getaffinity(0, sizeof set, &set) == 0);
    CHECK(mp_cpu_count() >= 1 && mp_cpu_count() <= CPU_COUNT(&set));
    int first = 0;
    while (!CPU_ISSET(first, &set))
        first++;
    CPU_ZERO(&set);
    CPU_SET(first, &set);
    CHECK(sched_setaffinity(0, sizeof set, &set) == 0);
    return mp_cpu_count() == 1 ? 0 : 1;
}

static void processors_are_the_usable_ones(void **state)
{
    (void)state;
    assert_int_equal(child_end(child_start(on_one_processor, NULL)), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, board_setup)
    const struct CMUnitTest tests[] = {
        T(names_count_along_the_ancestry),
        T(names_can_be_set),
        T(a_program_is_the_main_process),
        T(a_child_knows_itself_and_its_parent),
        T(a_child_sees_its_parents_end),
        T(repr_tells_the_state),
        T(start_methods),
        T(processors_are_the_usable_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
