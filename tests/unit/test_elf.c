/* SPDX-License-Identifier: MIT */
/* Names from symbol tables: of this program, of files that are anything but, and of ones that were
 * damaged everywhere. */
#include "os/elf.h"
#include "os/symbol.h"
#include "support/child.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static __attribute__((noinline)) int hidden(int x)
{
    return x + getpid();
}

static int header_of(struct dl_phdr_info *info, size_t size, void *arg)
{
    (void)size;
    *(struct dl_phdr_info *)arg = *info;
    return 1; /* the first is the program */
}

static int open_self(void)
{
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void the_program_itself(void **state)
{
    (void)state;
    char name[64], text[128];
    ElfW(Addr) start = 0;
    struct dl_phdr_info info;
    dl_iterate_phdr(header_of, &info);
    int fd = open_self();
    ElfW(Addr) address = (ElfW(Addr))(uintptr_t)hidden - info.dlpi_addr;
    assert_true(mp__elf_is(fd, info.dlpi_phdr, info.dlpi_phnum));
    assert_false(mp__elf_is(fd, info.dlpi_phdr, info.dlpi_phnum - 1u));
    assert_false(mp__elf_is(fd, info.dlpi_phdr, 1000));
    assert_true(mp__elf_function(fd, address + 1, name, sizeof name, &start));
    assert_string_equal(name, "hidden");
    assert_true(start == address);
    assert_true(mp__elf_function(fd, address, name, 4, &start));
    assert_string_equal(name, "hid"); /* cut */
    assert_false(mp__elf_function(fd, (ElfW(Addr)) - 1, name, sizeof name, &start));
    assert_true(hidden(1) > 0);
    close(fd);
    mp__symbol_describe((const void *)((uintptr_t)hidden + 2), false, text, sizeof text);
    assert_string_equal(text, "hidden+0x2 (test_elf)");
    mp__symbol_describe((const void *)((uintptr_t)hidden + 1), true, text, sizeof text);
    assert_string_equal(text, "hidden+0x1 (test_elf)"); /* a call before that is in there, too */
    mp__symbol_describe((const void *)16, true, text, sizeof text);
    assert_string_equal(text, "0x10");
    mp__symbol_describe((const void *)(uintptr_t)getpid, false, text, 8);
    assert_int_equal(strlen(text), 7);
}

/* Looks for addresses all over a file that may say anything; what comes out is a string. */
static void look_around(int fd)
{
    char name[32];
    ElfW(Addr) start;
    ElfW(Phdr) none[2] = {{.p_type = PT_NULL}};
    mp__elf_is(fd, none, 2);
    for (ElfW(Addr) address = 0; address < 1 << 16; address += 0x1357) {
        memset(name, 'x', sizeof name);
        if (mp__elf_function(fd, address, name, sizeof name, &start)) {
            size_t length = strnlen(name, sizeof name);
            assert_in_range(length, 1, sizeof name - 1);
            assert_true(start <= address);
        }
    }
}

static void no_program_at_all(void **state)
{
    (void)state;
    int ends[2];
    FILE *f = tmpfile();
    assert_true(f != NULL && pipe(ends) == 0);
    look_around(fileno(f)); /* empty */
    fputs("\177ELF", f);
    fflush(f);
    look_around(fileno(f));
    look_around(ends[0]);
    look_around(-1);
    fclose(f);
    close(ends[0]);
    close(ends[1]);
}

/* The parts that are read: its header, its section headers, and the begin of its tables. */
static void damaged(void **state)
{
    (void)state;
    static char whole[4 << 20];
    int fd = open_self();
    ssize_t length = read(fd, whole, sizeof whole);
    close(fd);
    if (length < 4096 || length == (ssize_t)sizeof whole)
        skip();
    const ElfW(Ehdr) *header = (const void *)whole;
    size_t sections = (size_t)header->e_shoff, bytes = (size_t)header->e_shnum * sizeof(ElfW(Shdr));
    FILE *f = tmpfile();
    assert_non_null(f);
    fd = fileno(f);
    uint64_t random = 88172645463325252u;
    for (int round = 0; round < 2000; round++) {
        assert_true(pwrite(fd, whole, (size_t)length, 0) == length);
        for (int k = 0; k < 4; k++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            size_t at = k % 2 == 0 ? sizeof *header : bytes;
            at = (k % 2 == 0 ? 16 : sections) + (size_t)(random >> 8) % (at - 16);
            char byte = (char)(round % 3 == 0 ? 0xff : random >> 56);
            assert_true(pwrite(fd, &byte, 1, (off_t)at) == 1);
        }
        if (round % 10 == 0)
            assert_int_equal(ftruncate(fd, (off_t)(random % (uint64_t)length)), 0);
        look_around(fd);
    }
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_program_itself),
        cmocka_unit_test(no_program_at_all),
        cmocka_unit_test(damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
