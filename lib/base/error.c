/* SPDX-License-Identifier: MIT */
/* Names and sentences of codes. The library's own come from MP_ERROR_LIST; the system's names are
 * listed here because the C library has had a function for them only since 2.32. */
#include <mproc/error.h>

#include <string.h>

/* clang-format off */
#define MP__ERRNO_LIST(X)                                                                          \
    X(EPERM)                                                                                       \
    X(ENOENT) X(ESRCH) X(EINTR) X(EIO) X(ENXIO) X(E2BIG) X(ENOEXEC) X(EBADF) X(ECHILD) X(          \
        EAGAIN) X(ENOMEM) X(EACCES) X(EFAULT) X(ENOTBLK) X(EBUSY) X(EEXIST) X(EXDEV) X(ENODEV)     \
        X(ENOTDIR) X(EISDIR) X(EINVAL) X(ENFILE) X(EMFILE) X(ENOTTY) X(ETXTBSY) X(EFBIG) X(ENOSPC) \
            X(ESPIPE) X(EROFS) X(EMLINK) X(EPIPE) X(EDOM) X(ERANGE) X(EDEADLK) X(ENAMETOOLONG) X(  \
                ENOLCK) X(ENOSYS) X(ENOTEMPTY) X(ELOOP) X(ENOMSG) X(EIDRM) X(ECHRNG) X(EL2NSYNC)   \
                X(EL3HLT) X(EL3RST) X(ELNRNG) X(EUNATCH) X(ENOCSI) X(EL2HLT) X(EBADE) X(EBADR) X(  \
                    EXFULL) X(ENOANO) X(EBADRQC) X(EBADSLT) X(EBFONT) X(ENOSTR) X(ENODATA)         \
                    X(ETIME) X(ENOSR) X(ENONET) X(ENOPKG) X(EREMOTE) X(ENOLINK) X(EADV) X(ESRMNT)  \
                        X(ECOMM) X(EPROTO) X(EMULTIHOP) X(EDOTDOT) X(EBADMSG)                      \
                            X(EOVERFLOW) X(ENOTUNIQ) X(EBADFD) X(EREMCHG) X(ELIBACC) X(ELIBBAD) X( \
                                ELIBSCN) X(ELIBMAX) X(ELIBEXEC) X(EILSEQ) X(ERESTART) X(ESTRPIPE)  \
                                X(EUSERS) X(ENOTSOCK) X(EDESTADDRREQ) X(EMSGSIZE) X(EPROTOTYPE)    \
                                    X(ENOPROTOOPT) X(EPROTONOSUPPORT) X(ESOCKTNOSUPPORT) X(        \
                                        EOPNOTSUPP) X(EPFNOSUPPORT) X(EAFNOSUPPORT) X(EADDRINUSE)  \
                                        X(EADDRNOTAVAIL) X(ENETDOWN) X(ENETUNREACH) X(ENETRESET)   \
                                            X(ECONNABORTED) X(ECONNRESET) X(ENOBUFS) X(            \
                                                EISCONN) X(ENOTCONN) X(ESHUTDOWN) X(ETOOMANYREFS)  \
                                                X(ETIMEDOUT) X(ECONNREFUSED) X(EHOSTDOWN)          \
                                                    X(EHOSTUNREACH) X(EALREADY) X(EINPROGRESS) X(  \
                                                        ESTALE) X(EUCLEAN) X(ENOTNAM) X(ENAVAIL)   \
                                                        X(EISNAM) X(EREMOTEIO) X(EDQUOT) X(        \
                                                            ENOMEDIUM) X(EMEDIUMTYPE) X(ECANCELED) \
                                                            X(ENOKEY) X(EKEYEXPIRED)               \
                                                                X(EKEYREVOKED) X(EKEYREJECTED)     \
                                                                    X(EOWNERDEAD)                  \
                                                                        X(ENOTRECOVERABLE)         \
                                                                            X(ERFKILL)             \
                                                                                X(EHWPOISON)
/* clang-format on */

#define MP__ERRNO_MAX 4095

static bool is_system(int code)
{
    return code < MP_ESYS(0) && code >= MP_ESYS(MP__ERRNO_MAX);
}

static const char *errno_name(int e)
{
    switch (e) {
#define X(name)                                                                                    \
    case name:                                                                                     \
        return #name;
        MP__ERRNO_LIST(X)
#undef X
    default:
        return "?";
    }
}

const char *mp_errname(int code)
{
    switch (code) {
#define X(name, number, text)                                                                      \
    case number:                                                                                   \
        return #name;
        MP_ERROR_LIST(X)
#undef X
    case MP_OWNERDEAD:
        return "MP_OWNERDEAD";
    default:
        if (code >= 0)
            return "MP_OK";
        return is_system(code) ? errno_name(-code - 10000) : "?";
    }
}

const char *mp_strerror(int code)
{
    switch (code) {
#define X(name, number, text)                                                                      \
    case number:                                                                                   \
        return text;
        MP_ERROR_LIST(X)
#undef X
    case MP_OWNERDEAD:
        return "acquired, but the last owner died holding it";
    default:
        if (code >= 0)
            return "success";
        if (!is_system(code) || errno_name(-code - 10000)[0] == '?')
            return "unknown code";
        /* For a number that exists this is a constant of the C library's, in every thread. */
        return strerror(-code - 10000);
    }
}
