#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   install.sh copy|list file|tree|fill PLACE SOURCE ...
#   install.sh finish
#   install.sh remove
#
# Copies below $DESTDIR. PLACE is the name of a variable of the environment that holds a directory
# (LIBDIR), or a place in it (LIBDIR/pkgconfig); so directories may have spaces.
#
#   file    copies files, symbolic links as such
#   tree    copies what is in a directory, if there is one
#   fill    copies NAME.in as NAME, with each @VARIABLE@ replaced by the environment's
#
# A file in the directory $RECORDS, one for each set of places, holds the names of what was copied
# and of the directories that had to be made; `remove` takes those away and no others, directories
# once they are empty. `list` adds what `copy` would copy, in case that file was lost.
set -eu
umask 022
action=$1
shift

for place in "$PREFIX" "$LIBDIR" "$INCLUDEDIR" "$MANDIR" "$DOCDIR" "$CMAKEDIR" "$PKGCONFIGDIR"; do
    case $place in
    /* | '') ;;
    *) echo "install: '$place' is no absolute path" >&2 && exit 1 ;;
    esac
done
set_of_places="$DESTDIR|$PREFIX|$LIBDIR|$INCLUDEDIR|$MANDIR|$DOCDIR|$CMAKEDIR|$PKGCONFIGDIR"
record=$RECORDS/$(printf '%s' "$set_of_places" | cksum | tr ' ' -)

# Inside mproc.pc: LIBDIR or INCLUDEDIR from its prefix.
from_prefix() {
    # shellcheck disable=SC2016 # for pkg-config to expand
    case $1 in
    "$PREFIX"/*) printf '${prefix}/%s' "${1#"$PREFIX"/}" ;;
    *) printf '%s' "$1" ;;
    esac
}

# What the templates speak of, and the Makefile does not know.
export_variables() {
    PC_LIBDIR=$(from_prefix "$LIBDIR")
    PC_INCLUDEDIR=$(from_prefix "$INCLUDEDIR")
    LIBDIR_FROM_CMAKE=$(realpath -m --relative-to="$CMAKEDIR" "$LIBDIR")
    INCLUDEDIR_FROM_CMAKE=$(realpath -m --relative-to="$CMAKEDIR" "$INCLUDEDIR")
    CMAKE_PRIVATE_LIBS=$(echo "-pthread $PRIVATE_LIBS" | tr -s ' ' ';')
    POINTER_SIZE=$(($(od -An -tu1 -j4 -N1 "$LIBRARY") * 4)) # ELF: 1 is for 32 bits, 2 for 64
    export PC_LIBDIR PC_INCLUDEDIR LIBDIR_FROM_CMAKE INCLUDEDIR_FROM_CMAKE CMAKE_PRIVATE_LIBS \
        POINTER_SIZE
}

# For pkg-config, a space ends a word unless a backslash is before it.
fill() {
    awk -v pc="$2" '
        function value(variable, text) {
            if (!(variable in ENVIRON)) {
                print FILENAME ": there is no " variable >"/dev/stderr"
                exit 1
            }
            text = ENVIRON[variable]
            if (pc == "mproc.pc" && variable != "PRIVATE_LIBS")
                gsub(/[ "\047\\#]/, "\\\\&", text)
            return text
        }
        {
            done = ""
            while (match($0, /@[A-Z_]+@/)) {
                done = done substr($0, 1, RSTART - 1) value(substr($0, RSTART + 1, RLENGTH - 2))
                $0 = substr($0, RSTART + RLENGTH)
            }
            print done $0
        }' "$1"
}

make_directory() {
    [ ! -d "$1" ] || return 0
    make_directory "$(dirname "$1")"
    mkdir "$1"
    printf 'directory %s\n' "$1" >>"$record"
}

# copy DIRECTORY SOURCE ...: sources that end in .in are templates.
copy() {
    to=$DESTDIR$1
    shift
    make_directory "$to"
    printf '  INSTALL %s (%d)\n' "$to" $#
    for from; do
        shift
        name=${from##*/}
        name=${name%.in}
        printf 'file %s/%s\n' "$to" "$name" >>"$record"
        # Never into a file that is there: a program may have it mapped.
        rm -f "$to/$name"
        if [ -L "$from" ]; then
            cp -P "$from" "$to"
        elif [ "${from%.in}" != "$from" ]; then
            fill "$from" "$name" >"$to/$name"
        else
            set -- "$@" "$from"
        fi
    done
    [ $# = 0 ] || install -m 644 "$@" "$to"
}

list() {
    to=$DESTDIR$1
    shift
    for from; do
        name=${from##*/}
        printf 'file %s/%s\n' "$to" "${name%.in}"
    done
    # These bear our name, so they are ours in any case.
    case $to in */mproc | */libmproc | */libmproc/*) printf 'directory %s\n' "$to" ;; esac
}

# tree DO DIRECTORY SOURCE: DO for each directory of the tree. What doxygen keeps for itself is left.
tree() {
    [ -d "$3" ] || return 0
    (cd "$3" && find . -type d) | LC_ALL=C sort | while IFS= read -r sub; do
        sub=${sub#.}
        (
            verb=$1
            to=$2$sub
            from=$3$sub
            set --
            for file in "$from"/*; do
                case $file in *.md5 | *.map) continue ;; esac
                [ ! -f "$file" ] || set -- "$@" "$file"
            done
            [ $# = 0 ] || "$verb" "$to" "$@"
        )
    done
}

mkdir -p "$RECORDS"
case $action in
copy | list)
    how=$1 place=
    case $2 in
    */*) eval "place=\$${2%%/*}/\${2#*/}" ;;
    *) eval "place=\$$2" ;;
    esac
    shift 2
    [ "$how" != fill ] || export_variables
    [ "$action" = copy ] || exec >>"$record"
    if [ "$how" = tree ]; then
        tree "$action" "$place" "$1"
    else
        "$action" "$place" "$@"
    fi
    ;;
finish)
    sort -u -o "$record" "$record"
    # If root has installed, the user still owns what is in the build directory.
    chown --reference="$RECORDS/.." "$RECORDS" "$record" 2>/dev/null || true
    ;;
remove)
    sed -n 's/^file //p' "$record" | while IFS= read -r name; do
        rm -f "$name"
    done
    sed -n 's/^directory //p' "$record" | LC_ALL=C sort -ru | while IFS= read -r name; do
        rmdir "$name" 2>/dev/null || true
    done
    rm -f "$record"
    rmdir "$RECORDS" "$RECORDS/.." 2>/dev/null || true
    ;;
esac
