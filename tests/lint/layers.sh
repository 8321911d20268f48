# shellcheck shell=sh disable=SC2016 # awk expands
# SPDX-License-Identifier: MIT
# The layers of lib/: each #include of the library's own files goes to the same layer or to one that
# layers.txt allows; system headers stay in os, <stdatomic.h> in base/atomic.h.

check() {
    find lib -name '*.[ch]' | sort | xargs awk '
        BEGIN {
            while ((getline line < "lib/layers.txt") > 0) {
                if (line ~ /^#/) continue
                n = split(line, word, /[: ]+/)
                known[word[1]] = 1
                may[word[1], word[1]] = 1
                for (i = 2; i <= n; i++) {
                    if (word[i] != "" && !(word[i] in known))
                        print "lib/layers.txt: " word[1] " may not include " word[i] ", which stands above it"
                    may[word[1], word[i]] = 1
                }
            }
            split("assert ctype errno float inttypes limits locale math setjmp stdalign stdarg " \
                  "stdbool stddef stdint stdio stdlib stdnoreturn string", list, " ")
            for (i in list) standard[list[i] ".h"] = 1
        }
        function bad(text) { print FILENAME ":" FNR ": " text }
        FNR == 1 {
            split(FILENAME, part, "/")
            layer = part[2]
            if (!(layer in known)) bad("layer " layer " is not in lib/layers.txt")
        }
        !/^[ \t]*#[ \t]*include/ { next }
        {
            name = $0
            sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
            kind = substr(name, 1, 1)
            name = substr(name, 2)
            sub(/[">].*/, "", name)
        }
        kind == "\"" {
            if (split(name, part, "/") != 2 || !(part[1] in known))
                bad("\"" name "\" is not written as \"layer/name.h\"")
            else if (!((layer, part[1]) in may))
                bad(layer " may not include " name)
            next
        }
        kind != "<" { bad("an #include of neither \"...\" nor <...>"); next }
        name == "stdatomic.h" {
            if (FILENAME != "lib/base/atomic.h") bad("<stdatomic.h> belongs in base/atomic.h alone")
            next
        }
        name ~ /^mproc\// || name in standard { next }
        layer != "os" { bad("<" name "> belongs in lib/os") }'
}

good() {
    mkdir -p lib/base lib/os lib/shm
    printf 'base:\nos: base\nshm: base os\n' >lib/layers.txt
    echo '#include <stdatomic.h>' >lib/base/atomic.h
    printf '#include <sys/mman.h>\n#include "base/atomic.h"\n' >lib/os/map.c
    printf '#include <mproc/shared.h>\n#include <string.h>\n#include "os/map.h"\n' >lib/shm/arena.c
}
bad_upward() { echo '#include "shm/arena.h"' >>lib/os/map.c; }
bad_sideways() { echo '#include "arena.h"' >>lib/shm/arena.c; }
bad_system_header() { echo '#  include <unistd.h>' >>lib/shm/arena.c; }
bad_system_header_in_base() { echo '#include <sys/types.h>' >lib/base/list.h; }
bad_atomics() { echo '#include <stdatomic.h>' >>lib/os/map.c; }
bad_unknown_layer() { mkdir lib/extra && echo 'int x;' >lib/extra/x.c; }
bad_order() { printf 'base: os\nos:\nshm: base os\n' >lib/layers.txt; }
