#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   install.sh install|uninstall RECORD SOURCE:DESTINATION ...
#
# Copies files below $DESTDIR, or removes them again. RECORD keeps the names of the directories that
# had to be made, so that uninstall takes those away and no others, once they are empty.
set -eu
umask 022
action=$1
record=$2
shift 2

make_directory() {
    [ -d "$1" ] && return
    make_directory "$(dirname "$1")"
    mkdir "$1"
    printf '%s\n' "$1" >>"$record"
}

for pair; do
    from=${pair%%:*}
    to=${DESTDIR-}${pair#*:}
    if [ "$action" = uninstall ]; then
        rm -f "$to"
        continue
    fi
    make_directory "$(dirname "$to")"
    echo "  INSTALL $to"
    rm -f "$to"
    if [ -L "$from" ]; then
        cp -P "$from" "$to"
    else
        cp "$from" "$to"
        chmod 644 "$to"
    fi
done

if [ "$action" = uninstall ]; then
    # The library's own directory is ours even where the record was lost.
    for pair; do
        case $pair in */mproc/*) dirname "${DESTDIR-}${pair#*:}" ;; esac
    done | sort -u | while read -r directory; do
        rmdir "$directory" 2>/dev/null || true
    done
    [ -f "$record" ] || exit 0
    made=$(sort -ru "$record")
    rm "$record"
    printf '%s\n' "$made" | while read -r directory; do
        rmdir "$directory" 2>/dev/null || [ ! -d "$directory" ] || echo "$directory" >>"$record"
    done
fi
