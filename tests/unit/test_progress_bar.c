/* SPDX-License-Identifier: MIT */
/* The progress bar, on a pseudo-terminal: what a reader sees there, line by line. */
#include "support/workers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#define ROOM 65536

/* What has come out of the terminal. */
static struct screen {
    char text[ROOM];
    size_t length;
} seen;

static void set_columns(int fd, int columns)
{
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
    assert_int_equal(ioctl(fd, TIOCSWINSZ, &size), 0);
}

static void read_all(int fd)
{
    ssize_t n;
    while (seen.length < ROOM - 1 &&
           (n = read(fd, seen.text + seen.length, ROOM - 1 - seen.length)) > 0)
        seen.length += (size_t)n;
    seen.text[seen.length] = '\0';
}

/* Runs it in a child whose standard error is a terminal of so many columns; its status is 0. */
static void run_on_terminal(int columns, int (*program)(void *), void *arg)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    seen.length = 0;
    assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    assert_true(slave >= 0);
    set_columns(slave, columns);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(120);
        dup2(slave, STDERR_FILENO);
        close(slave);
        close(master);
        exit(program(arg));
    }
    close(slave);
    read_all(master); /* until nobody has the other end any more */
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(master);
    assert_int_equal(status, 0);
}

/* What stands in the lines in the end, as a terminal shows it that is wide enough. Returns how many
 * lines there are; the last one is what stands behind the last line feed. */
static int render(char lines[][512], int most)
{
    int n = 0;
    size_t at = 0;
    memset(lines, 0, (size_t)most * 512);
    for (size_t i = 0; i < seen.length; i++) {
        char c = seen.text[i];
        if (c == '\r') {
            at = 0;
        } else if (c == '\n') {
            assert_true(++n < most);
            at = 0;
        } else {
            assert_true(c >= ' ' && c <= '~'); /* no control sequences */
            assert_true(at < 511);
            lines[n][at++] = c;
        }
    }
    return n + 1;
}

/* The longest that was written between two returns to the left edge. */
static size_t longest_write(const char *text)
{
    size_t longest = 0;
    while (*text != '\0') {
        size_t length = strcspn(text, "\r\n");
        longest = length > longest ? length : longest;
        text += length;
        text += *text != '\0';
    }
    return longest;
}

static int count(const char *text, const char *what)
{
    int n = 0;
    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        n++;
    return n;
}

static void trim(char *line)
{
    for (size_t n = strlen(line); n > 0 && line[n - 1] == ' '; n--)
        line[n - 1] = '\0';
}

/* ---- calls by hand ---- */

/* So many seconds for each. */
static int count_to_hundred(void *arg)
{
    for (size_t i = 0; i <= 100; i++) {
        mp_progress_bar(i, 100, NULL);
        nap(*(double *)arg);
    }
    return 0;
}

static double slowly = 0.004, quickly = 0.00001;

static void it_has_all_parts_and_ends_its_line(void **state)
{
    (void)state;
    char lines[4][512];
    run_on_terminal(100, count_to_hundred, &slowly);
    assert_int_equal(render(lines, 4), 2);
    trim(lines[0]);
    trim(lines[1]);
    assert_string_equal(lines[1], "");
    assert_non_null(strstr(lines[0], "] 100 %  100/100  "));
    assert_non_null(strstr(lines[0], "/s  in 0:"));
    assert_int_equal(lines[0][0], '[');
    assert_int_equal(strspn(lines[0] + 1, "#"), 40);
    assert_true(count(seen.text, "ETA ") > 0); /* on the way */
}

static void it_redraws_ten_times_a_second_at_most(void **state)
{
    (void)state;
    double begin = seconds();
    run_on_terminal(100, count_to_hundred, &slowly);
    double took = seconds() - begin;
    int drawn = count(seen.text, "\r[");
    assert_true(drawn >= 2); /* the first and the last */
    assert_true(drawn <= took * 10 + 2);
    assert_int_equal(count(seen.text, "/100"), drawn);
}

static void it_fits_any_width(void **state)
{
    (void)state;
    for (int columns = 1; columns <= 130; columns += columns < 40 ? 1 : 9) {
        char lines[4][512];
        run_on_terminal(columns, count_to_hundred, &quickly);
        assert_true(longest_write(seen.text) < (size_t)columns);
        assert_int_equal(render(lines, 4), 2);
        trim(lines[0]);
        if (columns >= 6)
            assert_non_null(strstr(lines[0], "100 %"));
        if (columns >= 16)
            assert_non_null(strstr(lines[0], "100 %  100/100"));
        assert_int_equal(lines[0][0] == '[', strchr(lines[0], ']') != NULL);
    }
}

/* What it writes after the terminal became narrower fits. */
static int shrink_on_the_way(void *arg)
{
    (void)arg;
    for (size_t i = 0; i <= 100; i++) {
        if (i == 40 || i == 70) {
            mp_progress_bar(i - 1, 100, NULL);
            fputc('@', stderr); /* where the test cuts the text */
            set_columns(STDERR_FILENO, i == 40 ? 25 : 90);
        }
        mp_progress_bar(i, 100, NULL);
        nap(0.008);
    }
    return 0;
}

static void it_follows_the_width(void **state)
{
    (void)state;
    run_on_terminal(90, shrink_on_the_way, NULL);
    char *first = strchr(seen.text, '@');
    assert_non_null(first);
    char *second = strchr(first + 1, '@');
    assert_non_null(second);
    *first = *second = '\0';
    assert_true(longest_write(seen.text) > 60);
    assert_true(strlen(first + 1) > 0 && longest_write(first + 1) < 25);
    assert_true(longest_write(second + 1) > 60);
}

/* ---- several ---- */

static int one_after_the_other(void *arg)
{
    (void)arg;
    for (int map = 0; map < 3; map++)
        for (size_t i = 0; i <= 50; i += 10)
            mp_progress_bar(i, 50, NULL);
    mp_progress_bar(1, 7, NULL); /* is given up */
    mp_progress_bar(0, 8, NULL);
    mp_progress_bar(8, 8, NULL);
    mp_progress_bar(0, 0, NULL); /* no items at all */
    return 0;
}

static void several_have_a_line_each(void **state)
{
    (void)state;
    char lines[16][512];
    run_on_terminal(80, one_after_the_other, NULL);
    assert_int_equal(render(lines, 16), 7);
    for (int i = 0; i < 3; i++)
        assert_non_null(strstr(lines[i], "100 %  50/50"));
    assert_non_null(strstr(lines[3], " 14 %  1/7"));
    assert_non_null(strstr(lines[4], "100 %  8/8"));
    assert_non_null(strstr(lines[5], "100 %  0/0"));
    assert_string_equal(lines[6], "");
}

/* Two threads at the same time: the second has no line before the first has ended. */
static void *count_in_thread(void *arg)
{
    for (size_t i = 0; i <= 60; i++) {
        mp_progress_bar(i, (size_t)(intptr_t)arg, NULL);
        nap(0.005);
    }
    mp_progress_bar((size_t)(intptr_t)arg, (size_t)(intptr_t)arg, NULL);
    return NULL;
}

static int two_threads(void *arg)
{
    (void)arg;
    pthread_t a, b;
    mp_progress_bar(0, 111, NULL);
    if (pthread_create(&a, NULL, count_in_thread, (void *)(intptr_t)222) != 0 ||
        pthread_create(&b, NULL, count_in_thread, (void *)(intptr_t)333) != 0)
        return 1;
    for (size_t i = 0; i <= 111; i++) {
        mp_progress_bar(i, 111, NULL);
        nap(0.004);
    }
    return pthread_join(a, NULL) + pthread_join(b, NULL);
}

static void threads_do_not_mix(void **state)
{
    (void)state;
    char lines[16][512];
    run_on_terminal(80, two_threads, NULL);
    int n = render(lines, 16);
    assert_true(n >= 2);
    assert_non_null(strstr(lines[0], "100 %  111/111"));
    for (int i = 0; i < n - 1; i++) /* each is one bar, whole */
        assert_int_equal(count(lines[i], " %  "), 1);
    trim(lines[n - 1]);
    assert_string_equal(lines[n - 1], "");
}

/* ---- where it is not drawn; and by a pool ---- */

static void nothing_without_a_terminal(void **state)
{
    (void)state;
    int ends[2], saved = dup(STDERR_FILENO);
    char c;
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    count_to_hundred(&quickly);
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(ends[1]);
    assert_int_equal(read(ends[0], &c, 1), 0);
    close(ends[0]);
}

static int take_time(const void *in, void *out, void *context)
{
    (void)context;
    nap(0.02);
    return square(in, out, NULL);
}

static int map_twice(void *arg)
{
    (void)arg;
    mp_pool *pool;
    long in[40], out[40];
    count_up(in, 40);
    int rc = mp_pool_new(&pool, .processes = 2, .progress = MP_PROGRESS_BAR);
    for (int i = 0; i < 2 && rc == 0; i++)
        rc = MP_MAP(pool, take_time, in, out, 40 - (size_t)i);
    return rc < 0 ? 1 : finish(pool);
}

static void a_pool_draws_one_line_for_each_map(void **state)
{
    (void)state;
    char lines[8][512];
    run_on_terminal(80, map_twice, NULL);
    assert_int_equal(render(lines, 8), 3);
    assert_non_null(strstr(lines[0], "100 %  40/40"));
    assert_non_null(strstr(lines[1], "100 %  39/39"));
    assert_string_equal(lines[2], "");
    assert_true(count(seen.text, "\r[") > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        POOL_TEST(it_has_all_parts_and_ends_its_line),
        POOL_TEST(it_redraws_ten_times_a_second_at_most),
        POOL_TEST(it_fits_any_width),
        POOL_TEST(it_follows_the_width),
        POOL_TEST(several_have_a_line_each),
        POOL_TEST(threads_do_not_mix),
        POOL_TEST(nothing_without_a_terminal),
        POOL_TEST(a_pool_draws_one_line_for_each_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
