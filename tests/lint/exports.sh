# shellcheck shell=sh
# SPDX-License-Identifier: MIT
# One interface: what the headers declare with MP_API, what the map lists and what the shared
# library exports are the same names.

declared() {
    cat include/mproc/*.h | tr '\n' ' ' | sed 's/MP_API/\n&/g' |
        sed -n 's/^MP_API [^(;]*[ *]\(mp_[a-z0-9_]*\)(.*/\1/p' | sort
}
listed() { sed -n 's/^ *\(mp_[a-z0-9_]*\);.*/\1/p' lib/libmproc.map | sort; }
exported() {
    nm -D --defined-only "$O/lib/libmproc.so" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort
}

# compare LIST TEXT LIST TEXT: tells of each name that stands in one list only.
compare() {
    printf '%s\n' "$1" | grep -vxF "$3" | sed "s/\$/ $2 but not $4/"
    printf '%s\n' "$3" | grep -vxF "$1" | sed "s/\$/ $4 but not $2/"
}

check() {
    map=$(listed)
    printf '%s\n' "$map" | uniq -d | sed 's/$/ is listed twice in the map/'
    compare "$(declared)" "is declared in a header" "$map" "listed in the map"
    compare "$map" "is listed in the map" "$(exported)" "exported by the library"
}

link() { $CC -shared -o "$O/lib/libmproc.so" library.c; }

good() {
    mkdir -p include/mproc lib "$O/lib"
    cat >include/mproc/one.h <<'END'
#define MP_API __attribute__((visibility("default")))
MP_API const char *mp_one(int (*f)(int), const char *text,
                          int n);
MP_API void
mp_two(void);
#define mp_three(x) mp_two()
END
    printf '{\n    global:\n        mp_one;\n        mp_two;\n    local:\n        *;\n};\n' >lib/libmproc.map
    echo 'void mp_one(void) {} void mp_two(void) {}' >library.c
    link
}
bad_not_written() { echo 'void mp_one(void) {}' >library.c && link; }
bad_not_declared() { sed -i 's/mp_two;/mp_two; \n mp_four;/' lib/libmproc.map; }
bad_leak() { echo 'int mp__state;' >>library.c && link; }
bad_not_listed() { echo 'MP_API int mp_five(void);' >>include/mproc/one.h; }
