#!/bin/sh
# SPDX-License-Identifier: MIT
#
# wordcount counts what `tr | sort | uniq -c` counts, whatever the borders of its pieces cut; it goes
# on after what it cannot read, and survives the death of a worker.
# shellcheck source=tests/examples/programs.sh disable=SC2317 # cases are called by name
. "$(dirname "$0")/programs.sh"
SRC=${SRC:-.}

# The plain pipeline, over each file by itself, in wordcount's order.
# shellcheck disable=SC2018,SC2019 # as it is in --help
counts() {
    for file; do
        tr -cs 'A-Za-z' '\n' <"$file"
        echo
    done | tr A-Z a-z | sort | grep . | uniq -c | sort -k1,1nr -k2
}

# The line at the end, from the lines before it and the number of files.
totals() {
    awk -v files="$1" '
        { print; words += $1 }
        END { printf "%d words, %d different, in %d files\n", words, NR, files }'
}

# expect FILE ...: what is to be printed about these files.
expect() {
    counts "$@" | totals $# >"$work/expected"
}

# counts_as_expected ARGUMENT ...: status 0, no complaint, the expected lines.
counts_as_expected() {
    runs_well wordcount -n 99999999 "$@" && same "$work/expected" "$work/out"
}

# A copy of this tree's text, so that nobody writes it meanwhile.
own_text() {
    mkdir -p "$work/tree/docs/.git"
    for part in README.md CHANGELOG.md CONTRIBUTING.md LICENSE Makefile include lib examples tests \
        docs pkgconfig; do
        [ ! -e "$SRC/$part" ] || cp -R "$SRC/$part" "$work/tree/"
    done
    echo elsewhere >"$work/tree/notes"
    find "$work/tree" -type f ! -name notes >"$work/list"
    echo hidden >"$work/tree/docs/.git/words"
    ln -s .. "$work/tree/lib/loop"
    # shellcheck disable=SC2046 # no name in this tree has a blank
    expect $(cat "$work/list")
    cd "$work/tree" && counts_as_expected || return 1
    # shellcheck disable=SC2046
    cd include && expect $(find . -type f) && counts_as_expected && counts_as_expected -j 1 .
}

# Words of many lengths, more of them than a table begins with, in 20 MB that the borders of the
# pieces cut anywhere; three workers print the same.
large_file() {
    awk 'BEGIN {
        srand(7)
        for (n = 0; n < 260000; n++) {
            word = ""
            for (k = int(rand() * rand() * 12); k >= 0; k--)
                word = word sprintf("%c", (rand() < 0.1 ? 65 : 97) + int(rand() * 26))
            printf "%s%s", word, substr(" \n,.7-\t\303\251", 1 + int(rand() * 9), 1)
        }
    }' >"$work/base"
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18; do
        cat "$work/base"
        echo "$i"
    done >"$work/large"
    [ "$(wc -c <"$work/large")" -gt 20000000 ] || return 1
    counts "$work/large" >"$work/large.counts"
    totals 1 <"$work/large.counts" >"$work/expected"
    counts_as_expected "$work/large" && counts_as_expected -j 3 "$work/large"
}

# A word at each place across the border at 1 MiB, and words that are longer than pieces.
borders() {
    set --
    for shift in 0 1 2 3 4; do
        { printf '%*s' "$shift" '' && yes abcd | tr '\n' ' ' | head -c 2097200; } \
            >"$work/border.$shift"
        set -- "$@" "$work/border.$shift"
    done
    yes x | tr -d '\n' | head -c 5000000 >"$work/long"
    { printf 'one ' && cat "$work/long" && printf ' two'; } >"$work/between"
    yes y | tr -d '\n' | head -c 1048576 >"$work/exact"
    { cat "$work/exact" && echo ' z'; } >"$work/exact.z"
    set -- "$@" "$work/long" "$work/between" "$work/exact" "$work/exact.z"
    expect "$@"
    counts_as_expected "$@"
}

small_files() {
    : >"$work/empty"
    printf 'No newline, no' >"$work/open"
    printf '42 7!\n' >"$work/wordless"
    mkdir -p "$work/bare/inner"
    ln -sf open "$work/link"
    for file in empty open wordless link; do
        expect "$work/$file"
        counts_as_expected "$work/$file" || return 1
    done
    expect "$work/open" "$work/open" "$work/empty"
    counts_as_expected "$work/open" "$work/bare" "$work/open" "$work/empty" || return 1
    expect && counts_as_expected "$work/bare" || return 1
    printf '      2 no\n3 words, 2 different, in 1 files\n' | prints wordcount -n 1 "$work/open" &&
        printf '3 words, 2 different, in 1 files\n' | prints wordcount -n 0 "$work/open"
}

# complains_about WHAT: standard error has one line, about that.
complains_about() {
    [ "$(wc -l <"$work/err")" = 1 ] && grep -qF "wordcount: $1: " "$work/err" && return
    echo "standard error, not about $1 alone:"
    cat "$work/err"
    return 1
}

# Each is reported, the rest is counted, the status is 1.
unreadable() {
    echo 'It goes on' >"$work/good"
    ln -sf nowhere "$work/dangling"
    mkfifo "$work/fifo"
    mkdir "$work/with_fifo" && mkfifo "$work/with_fifo/fifo"
    expect "$work/good" "$work/good"
    for bad in missing dangling fifo missing/file; do
        launch wordcount -n 100 "$work/good" "$work/$bad" "$work/good" "$work/with_fifo"
        ended 1 && complains_about "$work/$bad" && same "$work/expected" "$work/out" || return 1
    done
}

# A file that cannot be opened is found by a worker, and reported once though it has many pieces.
forbidden() {
    mkdir "$work/closed" && echo unseen >"$work/closed/file"
    head -c 3000000 /dev/zero >"$work/locked" && chmod 0 "$work/locked" "$work/closed"
    expect "$work/good"
    launch wordcount -n 100 "$work/good" "$work/locked" && ended 1 &&
        complains_about "$work/locked" && same "$work/expected" "$work/out" || return 1
    launch wordcount -n 100 "$work/good" "$work/closed" && ended 1 &&
        complains_about "$work/closed" && same "$work/expected" "$work/out"
}

bad_options() {
    for options in '-j 0' '-j x' '-j 4097' '-j 1x' '-n -1' '-n' '-x' '--nothing'; do
        # shellcheck disable=SC2086 # an option and its value
        launch wordcount $options
        ended 2 && grep -q '^usage: ' "$work/err" && [ ! -s "$work/out" ] ||
            return 1
    done
}

help() {
    for option in -h --help; do
        runs_well wordcount "$option" && grep -q "tr -cs 'A-Za-z'" "$work/out" || return 1
    done
}

full_disk() {
    launch wordcount "$work/good"
    ended 0 || return 1
    MPROC_EXAMPLE=$mark "$O/examples/wordcount" "$work/good" >/dev/full 2>"$work/err" &&
        { echo 'nothing noticed' && return 1; }
    complains_about 'standard output' && comes_true nothing_runs
}

# The workers: the children of the supervisor, which is the program's own but not its child.
workers() {
    family=" $(processes_of "$mark" | tr '\n' ' ') "
    for process in $family; do
        parent=$(sed 's/.*) . \([0-9]*\) .*/\1/' "/proc/$process/stat" 2>/dev/null)
        [ "$parent" != "$pid" ] || continue
        case $family in *" $parent "*) echo "$process" ;; esac
    done
}

# A piece is counted again when its worker dies, up to two times.
killed_worker() {
    set -- "$work/large" "$work/large" "$work/large" "$work/large" "$work/large" "$work/large"
    awk '{ printf "%7d %s\n", $1 * 6, $2 }' "$work/large.counts" | totals 6 >"$work/expected"
    launch wordcount -j 2 -n 99999999 "$@"
    killed=0
    while [ "$killed" -lt 2 ] && kill -0 "$pid" 2>/dev/null; do
        for worker in $(workers | head -n 1); do
            kill -9 "$worker" 2>/dev/null && killed=$((killed + 1))
        done
    done
    echo "$killed were killed"
    ended 0 && same "$work/expected" "$work/out" && [ "$killed" -gt 0 ]
}

# The bar is for people: it is drawn on a terminal; a pipe (every other case) sees nothing of it.
progress_bar() {
    script -qec "'$O/examples/wordcount' '$work/large'" /dev/null </dev/null >"$work/out"
    status=$?
    [ "$status" = 0 ] || { echo "exit status $status" && return 1; }
    grep -q "$(printf '\r').*%" "$work/out" || { echo "no bar:" && cat "$work/out" && return 1; }
}

for name in own_text large_file borders small_files unreadable bad_options help full_disk \
    killed_worker; do
    case_of "$name"
done
[ "$(id -u)" = 0 ] || case_of forbidden
command -v script >/dev/null && case_of progress_bar
finish
