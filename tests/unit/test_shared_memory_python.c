/* SPDX-License-Identifier: MIT */
/* Named shared memory with Python itself at the other end, if it is installed. Its resource tracker
 * is kept out, as by track=False from 3.13 on, except where the test is about it. */
#include <mproc/shared_memory.h>

#include "support/blocks.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Obeys one command a line, fields between tabs, and answers with one line. */
static const char script[] =
    "import sys, os, ast\n"
    "from multiprocessing import shared_memory, resource_tracker, get_context\n"
    "if sys.argv[1] == 'untracked':\n"
    "    resource_tracker.register = resource_tracker.unregister = lambda *a: None\n"
    "m = {}\n"
    "def told(s): return '%s %d' % (ascii(s.name), s.size)\n"
    "def child(name, size):\n"
    "    s = shared_memory.SharedMemory(name, True, size)\n"
    "    s.buf[:5] = b'child'\n"
    "    s.close()\n"
    "def create(h, name, size):\n"
    "    m[h] = shared_memory.SharedMemory(ast.literal_eval(name), True, int(size))\n"
    "    return told(m[h])\n"
    "def attach(h, name):\n"
    "    m[h] = shared_memory.SharedMemory(ast.literal_eval(name))\n"
    "    return told(m[h])\n"
    "def in_child(name, size):\n"
    "    p = get_context('fork').Process(target=child, args=(ast.literal_eval(name), int(size)))\n"
    "    p.start()\n"
    "    p.join()\n"
    "    return 'exit %d' % p.exitcode\n"
    "def write(h, at, text):\n"
    "    m[h].buf[int(at):int(at) + len(text)] = text.encode()\n"
    "    return 'ok'\n"
    "def read(h, at, n): return bytes(m[h].buf[int(at):int(at) + int(n)]).decode()\n"
    "def zero(h): return str(not any(bytes(m[h].buf)))\n"
    "def close(h): m[h].close(); return 'ok'\n"
    "def unlink(h): m[h].unlink(); return 'ok'\n"
    "for line in sys.stdin:\n"
    "    f, *a = line.rstrip('\\n').split('\\t')\n"
    "    try: r = globals()[f](*a)\n"
    "    except Exception as e: r = type(e).__name__\n"
    "    print(r, flush=True)\n";

static FILE *to_python, *from_python;
static pid_t python;

static bool have_python(void)
{
    return system("python3 -c 'import multiprocessing.shared_memory' >/dev/null 2>&1") == 0;
}

/* What Python leaves (its tracker) becomes our own child. */
static void start(const char *how)
{
    int in[2], out[2];
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    fflush(NULL);
    python = fork();
    if (python == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        execlp("python3", "python3", "-c", script, how, (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    to_python = fdopen(in[1], "w");
    from_python = fdopen(out[0], "r");
}

static void start_untracked(void)
{
    start("untracked");
}

/* A command, and what it answers, good until the next. */
__attribute__((format(printf, 1, 2))) static const char *ask(const char *format, ...)
{
    static char answer[1024];
    va_list ap;
    va_start(ap, format);
    vfprintf(to_python, format, ap);
    va_end(ap);
    fputc('\n', to_python);
    fflush(to_python);
    if (fgets(answer, sizeof answer, from_python) == NULL)
        return "no answer";
    answer[strcspn(answer, "\n")] = '\0';
    return answer;
}

/* Lets it end, and waits for it and for what it leaves. Returns its exit status. */
static int finish(void)
{
    fclose(to_python);
    int result = child_end(python);
    fclose(from_python);
    python = 0;
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        continue;
    return result;
}

/* For cmocka: also after a failed assertion no Python is left, nor what it made. */
static int teardown(void **state)
{
    if (python != 0)
        finish();
    return blocks_teardown(state);
}

#define PYTHON_TEST(f) cmocka_unit_test_setup_teardown(f, blocks_setup, teardown)

static const char *told(const char *name, size_t length)
{
    static char text[400];
    snprintf(text, sizeof text, "'%s' %zu", name, length);
    return text;
}

static void test_c_creates_and_python_attaches(void **state)
{
    (void)state;
    const size_t lengths[] = {1, 100, 4096, 4097, 3000000};
    start_untracked();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        mp_shared_memory *m;
        size_t n = lengths[i];
        assert_int_equal(mp_shared_memory_new(&m, .name = named("c"), .create = true, .length = n),
                         0);
        assert_string_equal(ask("attach\t0\t'%s'", named("c")), told(named("c"), n));
        assert_string_equal(ask("zero\t0"), "True");
        char *bytes = mp_shared_memory_buffer(m);
        bytes[n - 1] = 'c';
        assert_string_equal(ask("read\t0\t%zu\t1", n - 1), "c");
        assert_string_equal(ask("write\t0\t%zu\tp", n - 1), "ok");
        assert_int_equal(bytes[n - 1], 'p');
        assert_string_equal(ask("create\t1\t'%s'\t5", named("c")), "FileExistsError");
        assert_string_equal(ask("close\t0"), "ok");
        assert_int_equal(mp_shared_memory_unlink(m), 0);
        assert_string_equal(ask("attach\t0\t'%s'", named("c")), "FileNotFoundError");
        mp_shared_memory_free(m);
    }
    assert_int_equal(finish(), 0);
}

static void test_python_creates_and_c_attaches(void **state)
{
    (void)state;
    const size_t lengths[] = {1, 100, 4096, 4097, 3000000};
    start_untracked();
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        mp_shared_memory *m, *second;
        size_t n = lengths[i];
        assert_string_equal(ask("create\t0\t'%s'\t%zu", named("p"), n), told(named("p"), n));
        assert_int_equal(mp_shared_memory_new(&m, .name = named("p"), .length = n), 0);
        assert_int_equal(mp_shared_memory_length(m), n);
        assert_string_equal(mp_shared_memory_name(m), named("p"));
        char *bytes = mp_shared_memory_buffer(m);
        assert_int_equal(bytes[n - 1], 0);
        assert_string_equal(ask("write\t0\t%zu\tp", n - 1), "ok");
        assert_int_equal(bytes[n - 1], 'p');
        bytes[n - 1] = 'c';
        assert_string_equal(ask("read\t0\t%zu\t1", n - 1), "c");
        assert_int_equal(
            mp_shared_memory_new(&second, .name = named("p"), .create = true, .length = 5),
            MP_ESYS(EEXIST));
        assert_string_equal(ask("unlink\t0"), "ok");
        assert_int_equal(mp_shared_memory_new(&second, .name = named("p")), MP_ESYS(ENOENT));
        assert_int_equal(mp_shared_memory_unlink(m), MP_ESYS(ENOENT));
        bytes[n - 1] = 'd'; /* both still have it */
        assert_string_equal(ask("read\t0\t%zu\t1", n - 1), "d");
        assert_string_equal(ask("close\t0"), "ok");
        mp_shared_memory_free(m);
    }
    assert_int_equal(finish(), 0);
}

static void test_c_unlinks_while_python_is_attached(void **state)
{
    (void)state;
    mp_shared_memory *m;
    start_untracked();
    assert_int_equal(mp_shared_memory_new(&m, .name = named("u"), .create = true, .length = 10), 0);
    assert_string_equal(ask("attach\t0\t'%s'", named("u")), told(named("u"), 10));
    assert_int_equal(mp_shared_memory_unlink(m), 0);
    assert_string_equal(ask("write\t0\t2\tstill"), "ok");
    assert_memory_equal((char *)mp_shared_memory_buffer(m) + 2, "still", 5);
    mp_shared_memory_free(m);
    assert_string_equal(ask("read\t0\t2\t5"), "still");
    assert_string_equal(ask("unlink\t0"), "FileNotFoundError");
    assert_int_equal(finish(), 0);
}

/* Both make names up, in one form, and each takes the other's. */
static void test_made_up_names(void **state)
{
    (void)state;
    mp_shared_memory *m, *p;
    start_untracked();
    assert_int_equal(mp_shared_memory_new(&m, .create = true, .length = 10), 0);
    char name[64];
    snprintf(name, sizeof name, "%s", mp_shared_memory_name(m));
    bool same = strcmp(ask("attach\t0\t'%s'", name), told(name, 10)) == 0;
    assert_int_equal(mp_shared_memory_unlink(m), 0);
    mp_shared_memory_free(m);
    assert_true(same);

    const char *answer = ask("create\t1\tNone\t10");
    assert_int_equal(sscanf(answer, "'%40[^']' 10", name), 1);
    assert_int_equal(strlen(name), 12);
    assert_memory_equal(name, "psm_", 4);
    int rc = mp_shared_memory_new(&p, .name = name);
    assert_string_equal(ask("unlink\t1"), "ok");
    assert_int_equal(rc, 0);
    mp_shared_memory_free(p);
    assert_int_equal(finish(), 0);
}

/* What is allowed here is allowed there, and is the same file. */
static void test_odd_names(void **state)
{
    (void)state;
    char longest[256];
    snprintf(longest, sizeof longest, "%s", named(""));
    memset(longest + strlen(longest), 'n', sizeof longest - 1 - strlen(longest));
    longest[255] = '\0';
    const char *names[] = {
        named("a b"),      named("a:b"), named("a\\b"), named("\xc3\xa9\xe2\x82\xac"),
        named("a\nb\x7f"), named("%s*"), longest};
    start_untracked();
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        mp_shared_memory *m, *p;
        char quoted[1200] = "'", *to = quoted + 1; /* as Python writes it */
        for (const char *c = names[i]; *c != '\0'; c++)
            if ((unsigned char)*c >= 0x80)
                *to++ = *c;
            else
                to += sprintf(to, "\\x%02x", (unsigned)*c);
        strcpy(to, "'");
        assert_int_equal(mp_shared_memory_new(&m, .name = names[i], .create = true, .length = 10),
                         0);
        assert_string_equal(mp_shared_memory_name(m), names[i]);
        assert_non_null(strstr(ask("attach\t0\t%s", quoted), "' 10"));
        assert_int_equal(mp_shared_memory_unlink(m), 0);
        assert_non_null(strstr(ask("create\t1\t%s\t20", quoted), "' 20"));
        assert_int_equal(mp_shared_memory_new(&p, .name = names[i]), 0);
        assert_int_equal(mp_shared_memory_length(p), 20);
        assert_int_equal(mp_shared_memory_unlink(p), 0);
        mp_shared_memory_free(m);
        mp_shared_memory_free(p);
    }
    assert_int_equal(finish(), 0);
}

/* Slashes in front do not count for either. */
static void test_a_slash_in_front(void **state)
{
    (void)state;
    mp_shared_memory *m;
    start_untracked();
    assert_string_equal(ask("create\t0\t'/%s'\t10", named("s"))[0] == '\'' ? "made" : "not",
                        "made");
    assert_int_equal(file_length(named("s")), 10);
    char name[64];
    snprintf(name, sizeof name, "/%s", named("s"));
    assert_int_equal(mp_shared_memory_new(&m, .name = name), 0);
    assert_int_equal(mp_shared_memory_unlink(m), 0);
    mp_shared_memory_free(m);
    assert_string_equal(ask("create\t0\t'a/b'\t10"), "OSError");
    assert_string_equal(ask("create\t0\t''\t10"), "OSError");
    assert_int_equal(finish(), 0);
}

static void test_python_creates_in_a_child(void **state)
{
    (void)state;
    mp_shared_memory *m;
    start_untracked();
    assert_string_equal(ask("in_child\t'%s'\t10", named("child")), "exit 0");
    assert_int_equal(mp_shared_memory_new(&m, .name = named("child")), 0);
    assert_memory_equal(mp_shared_memory_buffer(m), "child\0\0\0\0", 10);
    assert_int_equal(finish(), 0);
    assert_memory_equal(mp_shared_memory_buffer(m), "child\0\0\0\0", 10);
    assert_int_equal(mp_shared_memory_unlink(m), 0);
    mp_shared_memory_free(m);
}

/* An empty file: a creator that has not come to the length yet. */
static void test_an_empty_file(void **state)
{
    (void)state;
    char path[64];
    mp_shared_memory *m;
    start_untracked();
    snprintf(path, sizeof path, "/dev/shm/%s", named("empty"));
    assert_int_equal(mknod(path, S_IFREG | 0600, 0), 0);
    assert_string_equal(ask("attach\t0\t'%s'", named("empty")), "ValueError");
    assert_int_equal(mp_shared_memory_new(&m, .name = named("empty")), MP_EAGAIN);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(finish(), 0);
}

/* Pain E1 with Python's tracker at work: when it ends it may unlink what its processes were
 * attached to. Nobody else is hurt: the memory stays, and whoever unlinks is told. */
static void test_pain_e1_pythons_tracker_at_our_block(void **state)
{
    (void)state;
    mp_shared_memory *m;
    start("tracked");
    assert_int_equal(mp_shared_memory_new(&m, .name = named("t"), .create = true, .length = 10), 0);
    assert_string_equal(ask("attach\t0\t'%s'", named("t")), told(named("t"), 10));
    assert_string_equal(ask("write\t0\t0\tpython"), "ok");
    finish();
    assert_string_equal(mp_shared_memory_buffer(m), "python");
    assert_int_equal(mp_shared_memory_check(m), 0);
    bool there = file_length(named("t")) >= 0;
    print_message("after Python's end the name is %s\n", there ? "there" : "gone");
    assert_int_equal(mp_shared_memory_unlink(m), there ? 0 : MP_ESYS(ENOENT));
    mp_shared_memory_free(m);
}

int main(void)
{
    if (!have_python()) {
        puts("no python3 with multiprocessing.shared_memory here");
        return CANNOT;
    }
    const struct CMUnitTest tests[] = {
        PYTHON_TEST(test_c_creates_and_python_attaches),
        PYTHON_TEST(test_python_creates_and_c_attaches),
        PYTHON_TEST(test_c_unlinks_while_python_is_attached),
        PYTHON_TEST(test_made_up_names),
        PYTHON_TEST(test_odd_names),
        PYTHON_TEST(test_a_slash_in_front),
        PYTHON_TEST(test_python_creates_in_a_child),
        PYTHON_TEST(test_an_empty_file),
        PYTHON_TEST(test_pain_e1_pythons_tracker_at_our_block),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
