/* SPDX-License-Identifier: MIT */
/* What runs and what is written when children and programs end: handlers, streams. */
#include "os/thread.h"
#include "support/program.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio_ext.h>

#include <cmocka.h>

/* Notes go to a pipe, unbuffered, so that their order is the order of events. */
static int notes[2];

static void say(const char *note)
{
    if (write(notes[1], note, strlen(note)) < 0)
        abort();
}

/* Runs a program; returns its exit status, and what it and its children wrote into the pipe,
 * which is its standard output, too. */
static int run(int (*program)(void *), char *text, size_t size)
{
    if (pipe2(notes, O_CLOEXEC) != 0)
        return -1;
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(240);
        dup2(notes[1], STDOUT_FILENO);
        close(notes[0]);
        exit(program(NULL));
    }
    close(notes[1]);
    size_t length = 0;
    for (ssize_t n; (n = read(notes[0], text + length, size - 1 - length)) > 0;)
        length += (size_t)n;
    text[length] = '\0';
    close(notes[0]);
    return child_end(pid);
}

static int run_child(mp_target target)
{
    mp_process *p;
    CHECK(mp_process_new(&p, .target = target) == 0);
    CHECK(mp_process_start(p) == 0);
    CHECK(mp_process_join(p, LONG) == 0);
    CHECK(mp_process_exitcode(p) == 0);
    CHECK(mp_process_free(p) == 0);
    CHECK(mp_shared_error() == 0); /* its record was there, and freed by nobody else */
    return 0;
}

static void say_parent(void)
{
    say("parent's ");
}

static void say_first(void)
{
    say("first ");
}

static void say_second(void)
{
    say("second ");
}

static int register_two(void *arg)
{
    (void)arg;
    atexit(say_first);
    atexit(say_second);
    say("child ");
    return 0;
}

static int exit_from_a_thread_of_its_own(void *arg)
{
    (void)arg;
    atexit(say_first);
    exit(0);
}

static int with_handlers(void *arg)
{
    (void)arg;
    atexit(say_parent); /* before the first process object, and after it */
    CHECK(run_child(register_two) == 0);
    atexit(say_parent);
    CHECK(run_child(exit_from_a_thread_of_its_own) == 0);
    return 0;
}

static void children_run_their_own_handlers(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(run(with_handlers, text, sizeof text), 0);
    assert_string_equal(text, "child second first first parent's parent's ");
}

static int fork_plainly(void *arg)
{
    (void)arg;
    atexit(say_first);
    pid_t pid = fork();
    if (pid == 0)
        exit(17);
    return child_end(pid) == 17 ? 0 : 1;
}

static int with_plain_grandchild(void *arg)
{
    (void)arg;
    atexit(say_parent);
    return run_child(fork_plainly);
}

/* It is a copy of the child with the child's handlers, and no more the parent's. */
static void a_plain_grandchild_stops_at_the_fence(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(run(with_plain_grandchild, text, sizeof text), 0);
    assert_string_equal(text, "first first parent's ");
}

static int print_line(void *arg)
{
    (void)arg;
    printf("child\n");
    return 0;
}

static int print_around(void *arg)
{
    (void)arg;
    printf("before\n"); /* a pipe: this stays in the buffer */
    fprintf(stderr, "%s", "");
    CHECK(run_child(print_line) == 0);
    printf("after\n");
    return 0;
}

static void no_line_is_printed_twice(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(run(print_around, text, sizeof text), 0);
    assert_string_equal(text, "before\nchild\nafter\n");
}

static int print_with_other_stream(void *arg)
{
    (void)arg;
    if (mp__thread_count() > 1)
        return 77;
    FILE *other = fdopen(dup(notes[1]), "w");
    CHECK(other != NULL);
    fprintf(other, "other ");
    CHECK(run_child(print_line) == 0); /* one thread: all streams are flushed */
    fclose(other);
    return 0;
}

static void other_streams_are_flushed_too(void **state)
{
    (void)state;
    char text[200];
    int status = run(print_with_other_stream, text, sizeof text);
    if (status == 77)
        skip(); /* a sanitizer has a thread of its own */
    assert_int_equal(status, 0);
    assert_string_equal(text, "other child\n");
}

static FILE *silent; /* a stream that never brings a byte */

static void *sit_in_fgets(void *arg)
{
    (void)arg;
    char line[16];
    atomic_store(&board->pid[7], gettid());
    return fgets(line, sizeof line, silent);
}

static int sit(void)
{
    static int ends[2];
    pthread_t thread;
    CHECK(pipe2(ends, O_CLOEXEC) == 0);
    silent = fdopen(ends[0], "r");
    CHECK(silent != NULL && pthread_create(&thread, NULL, sit_in_fgets, NULL) == 0);
    until_asleep(await(&board->pid[7]));
    return 0;
}

static int start_beside_fgets(void *arg)
{
    (void)arg;
    CHECK(sit() == 0);
    printf("before\n");
    CHECK(run_child(print_line) == 0);
    return 0;
}

static void a_thread_in_fgets_does_not_hold_up_the_start(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(run(start_beside_fgets, text, sizeof text), 0);
    assert_string_equal(text, "before\nchild\n");
}

static int print_beside_fgets(void *arg)
{
    (void)arg;
    CHECK(sit() == 0);
    printf("child\n");
    return 0;
}

static int run_child_beside_fgets(void *arg)
{
    (void)arg;
    return run_child(print_beside_fgets);
}

static void a_thread_in_fgets_does_not_hold_up_the_childs_exit(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(run(run_child_beside_fgets, text, sizeof text), 0);
    assert_string_equal(text, "child\n");
}

static void *start_children(void *arg)
{
    for (int i = 0; i < 25; i++) {
        mp_process *p;
        if (mp_process_new(&p, .target = print_line) < 0 || mp_process_start(p) < 0 ||
            mp_process_join(p, LONG) < 0 || mp_process_exitcode(p) != 0 || mp_process_free(p) < 0)
            return arg;
    }
    atomic_fetch_add(&board->flag[0], 1);
    return NULL;
}

/* Meanwhile this thread prints, so that each fork finds some text in the buffer. */
static int start_from_threads(void *arg)
{
    (void)arg;
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        CHECK(pthread_create(&threads[i], NULL, start_children, &threads) == 0);
    int printed = 0;
    for (; atomic_load(&board->flag[0]) < 4 && printed < 100000; printed++)
        printf("parent\n");
    for (int i = 0; i < 4; i++) {
        void *failed;
        CHECK(pthread_join(threads[i], &failed) == 0 && failed == NULL);
    }
    atomic_store(&board->flag[1], printed);
    return 0;
}

static int count_of(const char *text, const char *word)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)) != NULL; at += strlen(word))
        count++;
    return count;
}

static void threads_may_start_and_print(void **state)
{
    (void)state;
    static char text[1 << 20]; /* lines may be torn: a full buffer is written as it is */
    assert_int_equal(run(start_from_threads, text, sizeof text), 0);
    assert_int_equal(count_of(text, "c"), 100);
    assert_int_equal(count_of(text, "p"), board->flag[1]);
}

static int wait_for_flag(void *arg)
{
    (void)arg;
    atomic_store(&board->flag[0], 1);
    await(&board->flag[1]);
    say("grandchild ");
    return 0;
}

static int leave_child_running(void *arg)
{
    (void)arg;
    mp_process *p;
    CHECK(mp_process_new(&p, .target = wait_for_flag) == 0);
    CHECK(mp_process_start(p) == 0);
    CHECK(await(&board->flag[0]));
    atexit(say_first);
    return 0;
}

static void let_go(void)
{
    say("handler ");
    atomic_store(&board->flag[1], 1);
}

static int child_with_child(void *arg)
{
    atexit(let_go); /* handlers come first, then the children are joined */
    return leave_child_running(arg);
}

static int grandparent(void *arg)
{
    (void)arg;
    CHECK(run_child(child_with_child) == 0);
    say("joined ");
    return 0;
}

static void a_child_joins_its_children_after_its_handlers(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(run(grandparent, text, sizeof text), 0);
    assert_string_equal(text, "first handler grandchild joined ");
}

static void *leave_the_thread(void *arg)
{
    (void)arg;
    run_child(register_two);
    exit(6);
}

static int exit_in_a_thread(void *arg)
{
    (void)arg;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, leave_the_thread, NULL) == 0);
    pthread_join(thread, NULL);
    return 1;
}

static void a_thread_may_end_the_program(void **state)
{
    (void)state;
    char text[200];
    assert_int_equal(run(exit_in_a_thread, text, sizeof text), 6);
    assert_string_equal(text, "child second first ");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, board_setup)
    const struct CMUnitTest tests[] = {
        T(children_run_their_own_handlers),
        T(a_plain_grandchild_stops_at_the_fence),
        T(no_line_is_printed_twice),
        T(other_streams_are_flushed_too),
        T(a_thread_in_fgets_does_not_hold_up_the_start),
        T(a_thread_in_fgets_does_not_hold_up_the_childs_exit),
        T(threads_may_start_and_print),
        T(a_child_joins_its_children_after_its_handlers),
        T(a_thread_may_end_the_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
