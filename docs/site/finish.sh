#!/bin/sh
# SPDX-License-Identifier: MIT
#
#   finish.sh DIR TAGFILE
#
# Makes a site of Doxygen's pages in DIR: each gets the menu, its neighbours and its pictures; what
# the search finds is written down, and what no page uses goes.
set -eu
here=$(dirname "$0")
tags=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")
cd "$1"
site=$(cd "$OLDPWD" && cd "$here" && pwd)

texts=
for page in *.html; do
    case $page in
    group__* | struct* | dir_* | trace-view.html | files.html | globals* | annotated.html | modules.html | pages.html | *_8h.html) ;;
    *) texts="$texts $page" ;;
    esac
done
{
    echo 'var SEARCH = ['
    awk -f "$site/search.awk" "$tags" group__*.html
    # shellcheck disable=SC2086 # a list of names without spaces
    awk -f "$site/text.awk" $texts
    echo '];'
} >search-data.js
awk -f "$site/names.awk" search-data.js >names.part
mkdir pages
awk -f "$site/finish.awk" "$site/menu" ./*.html
mv pages/*.html .
rmdir pages
rm -f names.part dot_inline_*.svg dir_*.html jquery.js dynsections.js tabs.css doxygen.svg \
    bc_s.png bdwn.png closed.png doc.png folderclosed.png folderopen.png nav_f.png nav_g.png \
    nav_h.png open.png splitbar.png sync_off.png sync_on.png tab_a.png tab_b.png tab_h.png tab_s.png
