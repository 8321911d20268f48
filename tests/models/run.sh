#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   run.sh [MODEL ...]
#
# Checks the models (all, or those named) with spin; builds in $O/models. A model's first comment has
# lines "check: FLAGS" for what must hold, and "broken: FLAGS what is broken" for variants in which
# spin must find an error. QUICK=1 leaves out those that begin with "long", more than ten seconds each.
# JOBS=N: so many at once (2). CC: the compiler.
set -u

here=$(cd "$(dirname "$0")" && pwd)
: "${O:=build}" "${CC:=cc}" "${JOBS:=2}" "${QUICK:=}"

fail() {
    printf 'FAIL  %-10s %s: %s\n' "$model" "$what" "$1" >>"$dir/line"
    [ ! -s out ] || sed 's/^/      /' out >>"$dir/line"
    cat "$dir/line"
    exit 1
}

# one DIR MODEL check|broken FLAGS ...: a single run; its line goes to standard output.
one() {
    dir=$1 model=$2 kind=$3
    shift 3
    flags='' text=''
    for word; do
        case $word in
        -D*) flags="$flags $word" ;;
        *) text="$text $word" ;;
        esac
    done
    what="$kind$flags"
    rm -rf "$dir" && mkdir -p "$dir" && cd "$dir" || exit 1
    # shellcheck disable=SC2086 # a list of flags
    spin -a $flags "$here/$model.pml" >out 2>&1 || fail "spin refuses it"
    # Safety only; every interleaving, no reduction; exact states, compressed; 1 GB at most.
    $CC -O2 -w -DSAFETY -DNOREDUCE -DNOFAIR -DCOLLAPSE -DMEMLIM=1000 -o pan pan.c >out 2>&1 ||
        fail "the verifier does not compile"
    began=$(date +%s%N)
    # -E: the models look for deadlocks themselves; they know who sleeps with reason.
    timeout 1200 ./pan -E -m100000 -w24 >out 2>&1 || fail "the verifier ended with $?"
    time=$((($(date +%s%N) - began) / 10000000))
    states=$(sed -n 's/^ *\([0-9.e+]*\) states, stored.*/\1/p' out)
    errors=$(sed -n 's/.*errors: \([0-9]*\)$/\1/p' out)
    [ -n "$states$errors" ] || fail "no result"
    if [ "$kind" = check ]; then
        [ "$errors" = 0 ] || fail "$(sed -n 's/^pan:1: //p' out)"
        ! grep -q 'max search depth too small\|Search not completed' out || fail "not finished"
        result=holds
    else
        grep -q '^pan:1: assertion violated' out || fail "was not found:$text"
        result=found
    fi
    printf 'ok    %-10s %-52s %9s states %4d.%02d s  %s%s\n' "$model" "$what" "$states" \
        $((time / 100)) $((time % 100)) "$result" "${text:+:$text}" | tee "$dir/line"
    rm -f pan pan.*
}

if [ "${1:-}" = --one ]; then
    shift
    one "$@"
    exit
fi

if ! command -v spin >/dev/null; then
    echo "spin is not installed; 'make deps-models' installs it." >&2
    exit 1
fi

out=$(mkdir -p "$O/models" && cd "$O/models" && pwd) || exit 1
if [ $# = 0 ]; then
    for file in "$here"/*.pml; do
        ! grep -q '^ \* check:' "$file" || set -- "$@" "$(basename "$file" .pml)"
    done
fi
began=$(date +%s)
for model; do
    [ -f "$here/$model.pml" ] || { echo "no such model: $model" >&2 && exit 1; }
    n=0
    sed -n -e "${QUICK:+/^ \* long /d}" -e 's/^ \* \(long \)\?\(check\|broken\): \(.*\)/\2 \3/p' \
        "$here/$model.pml" | tr -d "'\"" |
        while read -r run; do
            n=$((n + 1))
            echo "$out/$model-$n $model $run"
        done
done >"$out/list" || exit 1
[ -s "$out/list" ] || { echo "nothing to check: $*" >&2 && exit 1; }
export O CC
xargs -P "$JOBS" -L 1 "$here/run.sh" --one <"$out/list"
bad=$?
while read -r dir _; do
    cat "$dir/line"
done <"$out/list" | awk -v all="$(wc -l <"$out/list")" -v took=$(($(date +%s) - began)) '
    $1 == "ok" && $3 == "check" { holds++ }
    $1 == "ok" && $3 == "broken" { found++ }
    { for (i = 2; i <= NF; i++) if ($i == "states") sum += $(i - 1) }
    END { printf "%d checks: %d hold, %d broken variants found, %d failed; %d states in %d s\n",
          all, holds, found, all - holds - found, sum, took; exit holds + found != all }' || exit 1
exit "$bad"
