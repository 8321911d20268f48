# shellcheck shell=sh disable=SC2154 # run.sh sets lints and notes
# SPDX-License-Identifier: MIT
# Budgets: a file has at most 500 lines of at most 100 columns; a function 70 lines, 95 of 100 in
# the library 40; a function that is not public takes at most five parameters.

sources() { find lib include examples tests -name '*.[ch]' -o -name '*.cc' | sort; }

check() {
    # A table in a comment cannot be broken; a letter may take more than one byte.
    sources | xargs awk '
        /^ \* \|/ { next }
        { gsub(/[\200-\277]/, "") }
        length > 100 { print FILENAME ":" FNR ": " length " columns" }
        FNR == 501 { print FILENAME ": more than 500 lines" }'
    sources | xargs awk -f "$lints/functions.awk" | awk -v notes="$notes" '
        $4 > 70 { print $1 ":" $2 ": " $3 " has " $4 " lines" }
        $1 ~ /^lib/ && $3 !~ /^mp_[^_]/ && $5 > 5 { print $1 ":" $2 ": " $3 " has " $5 " parameters" }
        $1 ~ /^lib/ { count[$4]++; n++ }
        END {
            for (i = 1; i < 10000 && seen * 100 < n * 95; i++) {
                if (seen * 2 < n) median = i
                seen += count[i]
                p95 = i
            }
            print n " functions, lines: median " median ", p95 " p95 >notes
            if (p95 > 40) print "lib: 5 in 100 functions have more than 40 lines (p95 " p95 ")"
        }'
}

# lines N: a function of N lines in all.
lines() {
    printf 'int mp__long(int a,\n             int b)\n{\n'
    seq -f '    a += %g;' $(($1 - 4))
    echo '}'
}

good() {
    mkdir -p lib/base include examples tests/unit
    for i in $(seq 30); do
        printf 'static int f%s(void)\n{\n    return 0;\n}\n' "$i"
    done >lib/base/short.c
    lines 70 >lib/base/long.c
    printf 'void g(void (*f)(int, int), int a, int b, int c, int d)\n{\n}\n' >lib/base/five.c
}
bad_file() { seq -f '/* %g */' 501 >lib/base/file.c; }
bad_columns() { printf '/* %098d */\n' 0 >include/wide.h; }
bad_function() { lines 71 >examples/long.c; }
bad_p_ninety_five() { lines 41 >lib/base/a.c && lines 41 >lib/base/b.c; }
bad_parameters() { printf 'static int\nh(int a, int b, int c, int d, int e, int f)\n{\n}\n' >lib/base/six.c; }
