#!/bin/bash
# SPDX-License-Identifier: MIT
#
#   O=BUILD [MAKE=make] [JOBS=2] flavours.sh [NAME ...]
#
# Builds the library as others may want it (optimised otherwise, hardened, at link time, by another
# compiler), then some tests and programs with it, linked both ways, and runs them. Where it cannot
# be built, it must say so. One line for each flavour; NAME: only those.
set -euo pipefail
cd "$(dirname "$0")/../.."
MAKE=${MAKE:-make} JOBS=${JOBS:-$(nproc)}
unset MAKEFLAGS MFLAGS MAKELEVEL CFLAGS CPPFLAGS LDFLAGS LDLIBS T
chosen=" $* "
mkdir -p "$O/flavours"
log=$O/flavours/log
seen=0 failed=0

# wanted NAME: whether it was asked for; starts its clock and its log.
wanted() {
    name=$1 began=$(date +%s%N)
    [ "$chosen" = "  " ] || [ "${chosen/ $1 /}" != "$chosen" ] || return 1
    : >"$log"
}

# report TEXT: the line; the log of what failed follows.
report() {
    local took=$((($(date +%s%N) - began) / 10000000))
    seen=$((seen + 1))
    printf '%-7s%3d.%02d s  %s\n' "$1" $((took / 100)) $((took % 100)) "$name"
    [ "$1" != FAILED ] || { failed=$((failed + 1)) && tail -n 40 "$log"; }
}

# What the map exports, and what a library does.
exported_by_map() { sed -n 's/^ *\(mp_[a-z_0-9]*\);$/\1/p' lib/libmproc.map | LC_ALL=C sort; }
exported_by() { nm -D --defined-only "$1" | sed -n 's/.* \(mp_[a-z_0-9]*\)@.*/\1/p' | LC_ALL=C sort; }

# prints TEXT COMMAND ...: the command prints TEXT and succeeds.
prints() {
    local want=$1 got
    shift
    got=$("$@") || return 1
    [ "$got" = "$want" ] || { echo "$*: printed '$got', not '$want'" && return 1; }
}

# build COMPILER CFLAGS LDFLAGS [AR]: everything into $out, and runs it.
build() {
    local compiler=$1 flags=$2 link=$3 archiver=${4:-ar} lib=$out/lib
    "$MAKE" -s "-j$JOBS" --no-print-directory O="$out" CC="$compiler" CFLAGS="$flags" LDFLAGS="$link" \
        AR="$archiver" lib "${programs[@]/#/$out/examples/}" "${tests[@]/#/$out/tests/unit/test_}" \
        "$out/tests/runner" || return 1
    diff <(exported_by_map) <(exported_by "$lib/libmproc.so") || return 1
    # shellcheck disable=SC2086 # lists of words
    {
        $compiler $flags $link -Iinclude tests/install/uses/outside.c -o "$out/shared" \
            -L"$lib" -lmproc -Wl,-rpath,"$lib" || return 1
        $compiler $flags $link -static -Iinclude tests/install/uses/outside.c -o "$out/static" \
            "$lib/libmproc.a" -pthread -ldl -lrt || return 1
    }
    prints 'C 42 0 1 4 9' "$out/shared" || return 1
    prints 'C 42 0 1 4 9' "$out/static" || return 1
    for program in "${programs[@]}"; do
        PACE=0 "$out/examples/$program" || return 1
    done
    O=$(realpath "$out") SRC=$PWD CC=$compiler tests/run.sh "${tests[@]/#/$out/tests/unit/test_}"
}

# flavour NAME COMPILER CFLAGS [LDFLAGS [AR]]: at link time all is compiled anew for each program, so
# those are fewer.
flavour() {
    wanted "$1" || return 0
    out=$O/flavours/$1
    programs=(process_pool communicating_with_queue) tests=(lock queue pool crash_backtrace)
    case $3 in *-flto*) programs=(process_pool) tests=(queue pool) ;; esac
    if ! command -v "$2" >/dev/null || ! command -v "${5:-ar}" >/dev/null; then
        report missing
    elif build "$2" "$3 -Werror" "${4-}" "${5-}" >>"$log" 2>&1; then
        report ok
        rm -rf "$out"
    else
        report FAILED
    fi
}

# refused NAME COMPILER CFLAGS TEXT: the library says TEXT instead of being built, if the compiler
# itself works.
refused() {
    wanted "$1" || return 0
    out=$O/flavours/$1
    # shellcheck disable=SC2086 # lists of words
    if ! echo '#include <stdio.h>' | $2 $3 -x c -c - -o /dev/null 2>/dev/null; then
        report missing
    elif "$MAKE" -s "-j$JOBS" O="$out" CC="$2" CFLAGS="$3" lib >>"$log" 2>&1 ||
        ! grep -q "#error .*$4" "$log"; then
        report FAILED
    else
        report refused
    fi
    rm -rf "$out"
}

# if_taken COMPILER FLAG ...: those flags that the compiler knows on this machine.
if_taken() {
    local compiler=$1 flag
    shift
    for flag; do
        echo | "$compiler" -Werror "$flag" -x c -c - -o /dev/null 2>/dev/null && printf '%s ' "$flag"
    done
}

hard='-O2 -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fPIE'
more=(-fcf-protection -mbranch-protection=standard -fstack-clash-protection
    -ftrivial-auto-var-init=pattern)

flavour gcc-O0 gcc '-O0 -g3 -fno-common -fno-strict-aliasing'
flavour gcc-Os gcc '-Os -std=c11 -funsigned-char -fno-omit-frame-pointer'
flavour gcc-O3 gcc "-O3 -DNDEBUG $(if_taken gcc -march=native)"
flavour gcc-lto gcc '-O2 -flto=auto -fno-fat-lto-objects' '' gcc-ar
flavour gcc-hard gcc "$hard $(if_taken gcc "${more[@]}")" '-Wl,-z,relro,-z,now'
flavour clang-O0 clang '-O0 -g -fno-strict-aliasing'
flavour clang-O3 clang "-O3 -DNDEBUG -std=c11 $(if_taken clang -march=native)"
flavour clang-lto clang '-Oz -flto' -fuse-ld=lld llvm-ar
flavour clang-hard clang "$hard $(if_taken clang "${more[@]}")" '-Wl,-z,relro,-z,now'
refused m32 gcc -m32 '64-bit Linux'
refused x32 gcc -mx32 '64-bit Linux'
refused musl musl-gcc -O2 'GNU C library'

rm -f "$log"
echo "$seen flavours, $failed failed"
[ "$failed" = 0 ] && [ "$seen" -gt 0 ]
