# SPDX-License-Identifier: MIT
#
#   awk -f names.awk search-data.js >names.html
#
# All public names by group, each with its first sentence: what the search knows, as a page's part.
function html(s) {
    gsub(/\\"/, "\"", s)
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    gsub(/>/, "\\&gt;", s)
    return s
}
/^\["/ {
    sub(/^\["/, "")
    sub(/","[^"]*"\],$/, "")
    split($0, field, /","/)
    if (field[3] !~ /^(function|macro|type|enumeration)$/)
        next
    group = field[4]
    if (!(group in rows))
        order[++groups] = group
    rows[group] = rows[group] "<tr><td><a href=\"" field[2] "\"><code>" html(field[1]) "</code></a></td><td>" html(field[5]) "</td></tr>\n"
    count++
}
END {
    for (i = 2; i <= groups; i++)
        for (j = i; j > 1 && order[j] < order[j - 1]; j--) {
            swap = order[j]
            order[j] = order[j - 1]
            order[j - 1] = swap
        }
    for (i = 1; i <= groups; i++)
        print "<h2>" order[i] "</h2>\n<table class=\"names\">\n" rows[order[i]] "</table>"
    if (!count)
        exit 1
}
