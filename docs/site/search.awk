# SPDX-License-Identifier: MIT
#
#   awk -f search.awk TAGFILE GROUP.html ...       lines of search-data.js
#
# What the search knows of names: place, kind, group and first sentence.
function inside(s) {
    sub(/^[^>]*>/, "", s)
    sub(/<\/[a-z]*>.*/, "", s)
    return s
}
function plain(s) {
    gsub(/<[^>]*>/, "", s)
    gsub(/&apos;/, "'", s)
    gsub(/&#160;|&nbsp;/, " ", s)
    gsub(/&quot;/, "\"", s)
    gsub(/&lt;/, "<", s)
    gsub(/&gt;/, ">", s)
    gsub(/&amp;/, "\\&", s)
    gsub(/  +/, " ", s)
    sub(/ $/, "", s)
    return s
}
function quoted(s) {
    s = plain(s)
    gsub(/\\/, "\\\\", s)
    gsub(/"/, "\\\"", s)
    return "\"" s "\""
}
function add(name, url, kind, where) {
    if ((name, url) in seen)
        return
    seen[name, url] = 1
    n++
    names[n] = name
    urls[n] = url
    kinds[n] = kind
    places[n] = where
}
BEGIN {
    words["define"] = "macro"
    words["typedef"] = "type"
    words["enumvalue"] = "constant"
}
# The first sentences, from the lists of the groups.
FILENAME !~ /tag$/ {
    if (match($0, /<tr class="memdesc:[a-z0-9]*"/)) {
        split($0, part, /"mdescRight">/)
        text = part[2]
        sub(/ *<a href="[^"]*">More\.\.\.<.*/, "", text)
        id = $0
        sub(/.*<tr class="memdesc:/, "", id)
        sub(/".*/, "", id)
        brief[FILENAME "#" id] = text
    }
    next
}
/<compound kind=/ {
    compound = $0
    sub(/.*kind="/, "", compound)
    sub(/".*/, "", compound)
    name = title = file = ""
    next
}
/<member kind=/ {
    member = $0
    sub(/.*kind="/, "", member)
    sub(/".*/, "", member)
    next
}
/<\/member>/ {
    if (compound == "group")
        add(mname, mfile "#" manchor, member in words ? words[member] : member, title)
    else if (compound == "struct")
        add("." mname, mfile "#" manchor, "member", name)
    member = ""
    next
}
/<enumvalue / && compound == "group" {
    f = a = $0
    sub(/.*file="/, "", f)
    sub(/".*/, "", f)
    sub(/.*anchor="/, "", a)
    sub(/".*/, "", a)
    add(inside($0), f "#" a, "constant", title)
    next
}
member != "" {
    if (/<name>/)
        mname = inside($0)
    else if (/<anchorfile>/)
        mfile = inside($0)
    else if (/<anchor>/)
        manchor = inside($0)
    next
}
/<name>/ { name = inside($0) }
/<title>/ { title = inside($0) }
/<filename>/ {
    file = inside($0)
    if (file !~ /\.html$/)
        file = file ".html"
}
/<filename>/ && compound == "struct" { add(name, file, "structure", "") }
/<filename>/ && compound == "group" { add(title, file, "reference", "") }
END {
    for (i = 1; i <= n; i++)
        print "[" quoted(names[i]) "," quoted(urls[i]) "," quoted(kinds[i]) "," quoted(places[i]) "," quoted(brief[urls[i]]) ",\"\"],"
}
