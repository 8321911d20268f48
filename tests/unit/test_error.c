/* SPDX-License-Identifier: MIT */
/* The codes: numbers that are ABI, names, sentences. */
#include <mproc/error.h>
#include <mproc/version.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Written down once more, in the order of the interface paper. */
static const struct {
    int code;
    const char *name;
} order[] = {
    {MP_EINVAL, "MP_EINVAL"},
    {MP_ESTATE, "MP_ESTATE"},
    {MP_ETIMEDOUT, "MP_ETIMEDOUT"},
    {MP_EEMPTY, "MP_EEMPTY"},
    {MP_EFULL, "MP_EFULL"},
    {MP_EAGAIN, "MP_EAGAIN"},
    {MP_ECLOSED, "MP_ECLOSED"},
    {MP_EEOF, "MP_EEOF"},
    {MP_EPIPE, "MP_EPIPE"},
    {MP_EMSGSIZE, "MP_EMSGSIZE"},
    {MP_EBROKEN, "MP_EBROKEN"},
    {MP_ETASK, "MP_ETASK"},
    {MP_ETASKTIMEOUT, "MP_ETASKTIMEOUT"},
    {MP_ECRASHED, "MP_ECRASHED"},
    {MP_ECANCELED, "MP_ECANCELED"},
    {MP_EINTR, "MP_EINTR"},
    {MP_EPERM, "MP_EPERM"},
    {MP_EDEADLK, "MP_EDEADLK"},
    {MP_EAUTH, "MP_EAUTH"},
};
#define CODES (sizeof order / sizeof *order)

static void test_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++)
        assert_int_equal(order[i].code, -1001 - (int)i);
    assert_int_equal(MP_ESYS(2), -10002);
    assert_int_equal(MP_ENOMEM, MP_ESYS(ENOMEM));
    assert_int_equal(MP_OWNERDEAD, 1);
}

static void test_names(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++)
        assert_string_equal(mp_errname(order[i].code), order[i].name);
    assert_string_equal(mp_errname(0), "MP_OK");
    assert_string_equal(mp_errname(17), "MP_OK");
    assert_string_equal(mp_errname(MP_OWNERDEAD), "MP_OWNERDEAD");
    assert_string_equal(mp_errname(MP_ENOMEM), "ENOMEM");
    assert_string_equal(mp_errname(MP_ESYS(EEXIST)), "EEXIST");
    static const int none[] = {-1, -1000, -1020, -9999, -10000, -10900, -14096, INT_MIN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_string_equal(mp_errname(none[i]), "?");
}

static void test_sentences(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODES; i++) {
        const char *text = mp_strerror(order[i].code);
        assert_true(strlen(text) > 5);
        assert_ptr_equal(text, mp_strerror(order[i].code));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(text, mp_strerror(order[k].code));
    }
    assert_string_equal(mp_strerror(0), "success");
    assert_string_equal(mp_strerror(42), "success");
    assert_non_null(strstr(mp_strerror(MP_OWNERDEAD), "owner died"));
    assert_string_equal(mp_strerror(MP_ENOMEM), strerror(ENOMEM));
    static const int none[] = {-1, -1000, -1020, -9999, -10000, -14096, INT_MIN};
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_string_equal(mp_strerror(none[i]), "unknown code");
}

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 32)
/* No failure of the system loses its cause. */
static void test_system_codes(void **state)
{
    (void)state;
    int known = 0;
    for (int e = 1; e < 4095; e++) {
        const char *name = strerrorname_np(e);
        assert_string_equal(mp_errname(MP_ESYS(e)), name != NULL ? name : "?");
        if (name != NULL)
            assert_string_equal(mp_strerror(MP_ESYS(e)), strerror(e));
        known += name != NULL;
    }
    assert_true(known > 100);
}
#define SYSTEM_CODES cmocka_unit_test(test_system_codes),
#else
#define SYSTEM_CODES
#endif

static void test_version(void **state)
{
    (void)state;
    assert_int_equal(mp_version(), MP_VERSION);
    assert_int_equal(MP_VERSION >> 16, MP_VERSION_MAJOR);
    assert_int_equal(MP_VERSION >> 8 & 255, MP_VERSION_MINOR);
    assert_int_equal(MP_VERSION & 255, MP_VERSION_PATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_sentences),
        SYSTEM_CODES cmocka_unit_test(test_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
