# shellcheck shell=sh disable=SC2154 # run.sh sets lints and notes
# SPDX-License-Identifier: MIT
# Names: no two files of lib/ share their base name (an archive would hold one of them); what the
# objects define for others begins with mp_ (public, in the map) or mp__ (internal); what is static
# in a .c file has no prefix; every source says its licence.

check() {
    find lib -name '*.c' -exec basename {} \; | sort | uniq -d | sed 's/^/lib: two files are named /'
    find lib -name '*.h' -exec basename {} \; | sort | uniq -d | sed 's/^/lib: two files are named /'

    nm -g --defined-only "$O/lib/libmproc.a" | awk '
        FILENAME != "-" { if (sub(/;.*/, "")) public[$1] = 1; next }
        NF == 3 && $3 !~ /^mp__/ && !($3 in public) {
            print "libmproc.a: " $3 " is neither mp__ nor in lib/libmproc.map"
        }' lib/libmproc.map -

    find lib -name '*.c' | sort | xargs awk -f "$lints/functions.awk" |
        awk '$6 == "static" && $3 ~ /^mp_/ { print $1 ":" $2 ": " $3 " is static and needs no prefix" }'

    find Makefile .ci lib include examples tests docs pkgconfig -type f 2>/dev/null | sort |
        grep -E '\.(c|h|cc|sh|awk|mk|map|in|txt)$|Makefile$|Doxyfile$|\.ci/run$' |
        while read -r file; do
            head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || echo "$file: no SPDX line"
        done
}

object() { $CC -x c -c -o object.o - && ar rc "$O/lib/libmproc.a" object.o; }

good() {
    mkdir -p lib/base lib/os "$O/lib"
    printf '/* SPDX-License-Identifier: MIT */\n{ global:\n    mp_init;\n};\n' >lib/libmproc.map
    echo '/* SPDX-License-Identifier: MIT */' >lib/base/error.c
    echo 'int mp_init; int mp__state; static int x; int *mp__x(void) { return &x; }' | object
}
bad_twice() { cp lib/base/error.c lib/os/; }
bad_prefix() { echo 'int helper;' | object; }
bad_not_in_map() { echo 'int mp_helper(void) { return 0; }' | object; }
bad_static() { printf 'static void mp__x(void)\n{\n}\n' >>lib/base/error.c; }
bad_licence() { echo 'int x;' >lib/os/free.c; }
