# SPDX-License-Identifier: MIT
#
#   awk -f text.awk PAGE.html ...       lines of search-data.js
#
# What the search knows of texts: each page and each of its sections, with its beginning and with the
# words in it. Code and pictures are left out.
function plain(s) {
    gsub(/<[^>]*>/, " ", s)
    gsub(/&apos;|&#39;/, "'", s)
    gsub(/&#160;|&nbsp;/, " ", s)
    gsub(/&quot;/, "\"", s)
    gsub(/&lt;/, "<", s)
    gsub(/&gt;/, ">", s)
    gsub(/&amp;/, "\\&", s)
    gsub(/[ \t]+/, " ", s)
    gsub(/ ,/, ",", s)
    gsub(/ ;/, ";", s)
    gsub(/ :/, ":", s)
    gsub(/ \)/, ")", s)
    gsub(/ \. /, ". ", s)
    sub(/ \.$/, ".", s)
    sub(/^ /, "", s)
    sub(/ $/, "", s)
    return s
}
function quoted(s) {
    gsub(/\\/, "\\\\", s)
    gsub(/"/, "\\\"", s)
    return "\"" s "\""
}
function finish() {
    if (name != "")
        print "[" quoted(name) "," quoted(url) "," quoted(kind) "," quoted(where) "," quoted(substr(brief, 1, 150)) "," quoted(words) "],"
    name = brief = words = ""
    split("", seen)
}
function begin(title, place, what, page) {
    finish()
    name = title
    url = place
    kind = what
    where = page
}
function take(s, part, n, i) {
    s = plain(s)
    if (length(brief) < 150)
        brief = brief (brief == "" ? "" : " ") s
    n = split(tolower(s), part, /[^a-z0-9_]+/)
    for (i = 1; i <= n; i++)
        if (length(part[i]) > 2 && !(part[i] in seen)) {
            seen[part[i]] = 1
            words = words " " part[i]
        }
}
FNR == 1 {
    finish()
    inside = skip = heading = 0
    file = FILENAME
    sub(/.*\//, "", file)
}
/<div class="title">/ {
    page = $0
    sub(/.*<div class="title">/, "", page)
    page = plain(page)
    begin(page, file, "page", "")
}
/<div class="contents">/ { inside = 1 }
/<!-- contents -->|<!-- PageDoc -->/ { inside = 0 }
!inside { next }
/<div class="toc">/ { skip = 1 }
skip && /<!-- fragment -->|<\/pre>|<\/svg>|^<\/div>/ {
    skip = 0
    sub(/.*<!-- fragment -->|.*<\/pre>|.*<\/svg>/, "")
}
skip { next }
{ gsub(/<div class="twin-title">[^<]*<\/div>/, "") }
/<div class="fragment">|<pre class="fragment">|<svg/ {
    skip = !/<\/pre>|<\/svg>/
    sub(/(<div class="fragment">|<pre class="fragment">|<svg).*/, "")
}
/^<h[1-5]><a class="anchor" id="/ {
    id = $0
    sub(/.* id="/, "", id)
    sub(/".*/, "", id)
    heading = 1
    next
}
heading {
    begin(plain($0), file "#" id, "section", page)
    heading = 0
    next
}
{ take($0) }
END { finish() }
