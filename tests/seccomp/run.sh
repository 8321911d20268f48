#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   O=BUILD SRC=SOURCE CC=COMPILER run.sh
#
# The system calls that docs/platforms.md names are all that the library makes in the programs of
# the guide, of the recipes and of the chapters: any other would kill them. Those that it names as
# dispensable are refused, one by one and all together, with ENOSYS and with EPERM, and the programs
# print the same.
set -u
export LC_ALL=C PACE=0.02
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
runs=0

# What the C library does at a program's start, for its streams and its threads, and what the
# programs do themselves.
others='access arch_prctl brk clone3 epoll_create1 epoll_ctl epoll_wait
    epoll_pwait execve faccessat fork fstat getrandom lseek mmap mprotect munmap nanosleep prctl
    pread64 prlimit64 readlink readlinkat rt_sigaction rt_sigprocmask rt_sigreturn set_robust_list
    set_tid_address setsockopt timerfd_create timerfd_settime unlinkat'

# The names in the first column of the table below the heading, and all that its last column says.
table() {
    sed -n "/{#$1}/,/^# /p" "$SRC/docs/platforms.md" | grep '^| `'
}

# shellcheck disable=SC2016 # the quotes are the text's
names() {
    cut -d'|' -f2 | grep -o '`[a-z0-9_]*`' | tr -d '`'
}

echo '#include <sys/syscall.h>' | ${CC:-cc} -E -dM - |
    sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/\1 \2/p' >"$work/numbers"
# Younger than some headers.
for young in 'close_range 436' 'futex_waitv 449'; do
    grep -q "^${young% *} " "$work/numbers" || echo "$young" >>"$work/numbers"
done

# numbers [ERRNO]: of the names on standard input; those that this machine has not are left out.
numbers() {
    while read -r name; do
        sed -n "s/^$name \(.*\)/\1${1:+=$1}/p" "$work/numbers"
    done
}

# prints WHAT PROGRAM CALL ...: under that filter it ends with 0 and prints what is expected.
prints() {
    what=$1
    program=$2
    shift 2
    runs=$((runs + 1))
    timeout -k 5 20 "$work/allow" "$@" -- "$O/examples/$program" >"$work/out" 2>"$work/err" </dev/null
    status=$?
    expected=$SRC/examples/$program.out
    if [ -e "$expected" ]; then
        cmp -s "$expected" "$work/out" || status=different
    fi
    [ "$status" = 0 ] && return
    failed=$((failed + 1))
    echo "FAILED: $program, $what: $status"
    head -n 3 "$work/err"
}

# each WHAT CALL ...: all programs. The sandbox has a filter of its own, which this one must allow.
# shellcheck disable=SC2086 # $2 is words
each() {
    for file in "$SRC"/examples/guide/*.c "$SRC"/examples/recipes/*.c; do
        name=${file#"$SRC"/examples/}
        case $name in recipes/sandbox.c | recipes/files.c) continue ;; esac
        # Without a pidfd a process is found ready a moment before its exit code is known.
        case $1:$name in all*:guide/wait.c) continue ;; esac
        prints "$1" "${name%.c}" $2
    done
    for name in $CHAPTERS; do
        [ "$name" = myfunc ] || prints "$1" "$name" $2
    done
}

${CC:-cc} -O1 -Wall -Wextra -o "$work/allow" "$SRC/tests/seccomp/allow.c" || exit 1
# shellcheck disable=SC2086 # words
allowed=$({ table platforms_seccomp | names; printf '%s\n' $others; } | sort -u | numbers)
table platforms_seccomp | grep -v '| needed[a-z ]* |$' | names >"$work/dispensable"
[ "$(wc -l <"$work/dispensable")" -ge 5 ] || { echo 'docs/platforms.md has no table' && exit 1; }

each 'no other call' "$allowed"
for errno in 38 1; do
    each "all refused with $errno" "$(numbers $errno <"$work/dispensable") $allowed"
    while read -r name; do
        refused=$(echo "$name" | numbers $errno)
        for program in guide/process guide/queues guide/pool recipes/retries; do
            # shellcheck disable=SC2086 # words
            [ -z "$refused" ] || prints "$name refused with $errno" "$program" $refused $allowed
        done
    done <"$work/dispensable"
done
echo "$runs runs, $failed failed"
[ "$failed" = 0 ]
