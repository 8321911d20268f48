# SPDX-License-Identifier: MIT
#
#   awk -f finish.awk MENU PAGE.html ...      writes pages/PAGE.html
#
# Puts the menu and the neighbours into each page, and Graphviz's pictures, in the page's colours.
function there(file, line) {
    if (!(file in known)) {
        known[file] = (getline line < file) >= 0
        close(file)
    }
    return known[file]
}
function address(name) {
    if (name == "start")
        return "index.html"
    if (sub(/^group:/, "", name)) {
        gsub(/_/, "__", name)
        return "group__" name ".html"
    }
    return name ".html"
}
function link(i, page, mark) {
    if (href[i] == "")
        return "<span>" words[i] "</span>"
    mark = href[i] == page ? " aria-current=\"page\"" : href[i] == group ? " aria-current=\"true\"" : ""
    return "<a href=\"" href[i] "\"" mark ">" words[i] "</a>"
}
# The group of a structure's page: its place in the menu.
function group_of(file, line, found) {
    while (!found && (getline line < file) > 0)
        if (match(line, /class="ingroups"><a class="el" href="[^"]*"/)) {
            found = substr(line, RSTART, RLENGTH - 1)
            sub(/.*"/, "", found)
        }
    close(file)
    return found
}
function menu(page, i, j, open, out) {
    out = "<ul>\n"
    for (i = 1; i <= items; i++) {
        if (level[i])
            continue
        open = href[i] == page
        for (j = i + 1; j <= items && level[j]; j++)
            open = open || href[j] == page || href[j] == group
        if (j == i + 1) {
            if (href[i] != "")
                out = out "<li>" link(i, page) "</li>\n"
            continue
        }
        out = out "<li><details" (open ? " open" : "") "><summary>" link(i, page) "</summary><ul>\n"
        for (j = i + 1; j <= items && level[j]; j++)
            out = out "<li>" link(j, page) "</li>\n"
        out = out "</ul></details></li>\n"
    }
    return out "</ul>"
}
# The chapters before and after, of the same part.
function neighbours(page, i, out) {
    for (i = 1; i <= items; i++)
        if (href[i] == page && level[i]) {
            if (href[i - 1] != "")
                out = "<a rel=\"prev\" href=\"" href[i - 1] "\">" words[i - 1] "</a>"
            if (level[i + 1])
                out = out "<a rel=\"next\" href=\"" href[i + 1] "\">" words[i + 1] "</a>"
            return "<nav class=\"neighbours\" aria-label=\"Neighbours\">" out "</nav>"
        }
    return ""
}
# Graphviz's file as a part of the page: no size that overrides the page's, no colour of its own.
function picture(file, line, body, out) {
    while ((getline line < file) > 0) {
        if (line ~ /^<svg/) {
            body = 1
            pictures++
            # Points become pixels, so that its text is not larger than the page's.
            gsub(/pt"/, "\"", line)
            sub(/width="/, "role=\"img\" class=\"dot\" &", line)
        }
        if (!body || line ~ /^<!--/ || line ~ /fill="white" stroke="transparent"/)
            continue
        gsub(/="black"/, "=\"currentColor\"", line)
        gsub(/ font-family="[^"]*"/, "", line)
        gsub(/xlink:href=/, "href=", line)
        gsub(/ xlink:title="[^"]*"| target="_top"/, "", line)
        gsub(/ id="/, "&picture" pictures "-", line)
        if (line ~ /^<text/)
            sub(/<text /, "<text fill=\"currentColor\" ", line)
        out = out line "\n"
    }
    close(file)
    return out
}
FILENAME ~ /\/menu$/ {
    if ($0 ~ /^#/ || $0 ~ /^ *$/)
        next
    name = $1
    file = name == "-" ? "" : address(name)
    if (file != "" && !there(file))
        next
    items++
    level[items] = $0 ~ /^  /
    href[items] = file
    words[items] = $0
    sub(/^ *[^ ]+ +/, "", words[items])
    next
}
FNR == 1 {
    if (out != "")
        close(out)
    page = FILENAME
    sub(/^\.\//, "", page)
    out = "pages/" page
    pictures = 0
    group = page ~ /^struct/ ? group_of(FILENAME) : "none"
}
# The first page is not called after itself.
/^<title>/ {
    sub(/libmproc – libmproc/, "libmproc – Python's multiprocessing for C")
    sub(/ (Struct|File) Reference/, "")
}
# The title is the page's heading; in a text the others stand below it.
/<div class="headertitle">/ {
    sub(/ (Struct|File) Reference/, "")
    sub(/<div class="title">/, "<h1 class=\"title\">")
    sub(/<\/div><\/div>$/, "</h1></div>")
}
page !~ /^(group__|struct)|_8h\.html$/ {
    for (n = 5; n >= 1; n--) {
        gsub("<h" n ">", "<h" n + 1 ">")
        if (!/class="title"/)
            gsub("</h" n ">", "</h" n + 1 ">")
    }
}
/^<!--MENU-->/ {
    print menu(page) > out
    next
}
/^<!--NEIGHBOURS-->/ {
    print neighbours(page) > out
    next
}
/<!--NAMES-->/ {
    print "</p>" > out
    while ((getline line < "names.part") > 0)
        print line > out
    print "<p>" > out
    next
}
# The licence line of a program is for the file, not for the page.
/SPDX-License-Identifier/ && /<span class="comment">/ {
    if (!sub(/<div class="line"><span class="comment">[^<]*<\/span><\/div>/, ""))
        next
}
match($0, /src="dot_[^"]*\.svg"/) {
    print picture(substr($0, RSTART + 5, RLENGTH - 6)) "</div>" > out
    next
}
# Directories have no pages: their names would tell where this tree lies.
/href="dir_/ { sub(/<li class="navelem"><a class="el" href="dir_.*<\/li>/, "") }
# What stands below a picture also describes it.
/^<img [^>]* alt=""/ {
    image = $0
    getline opening
    getline caption
    words_below = caption
    gsub(/<[^>]*>|"/, "", words_below)
    gsub(/&/, "\\\\&", words_below)
    if (opening ~ /class="caption"/)
        sub(/ alt=""/, " alt=\"" words_below "\"", image)
    print image "\n" opening > out
    $0 = caption
}
# In the lists a macro shows its parameters, not what it becomes.
/^<tr class="memitem.*>#define&#160;/ { sub(/\)&#160;&#160;&#160;.*<\/td><\/tr>$/, ")</td></tr>") }
# What a function returns: a line for each code.
/<dl class="section return">/ { returns = 1 }
returns {
    rest = $0
    $0 = ""
    while (match(rest, /; (another )?(<code>)?<a class="el"[^>]*>MP_(E|OWNERDEAD)/)) {
        $0 = $0 substr(rest, 1, RSTART - 1) "<br>" substr(rest, RSTART + 2, RLENGTH - 2)
        rest = substr(rest, RSTART + RLENGTH)
    }
    $0 = $0 rest
    if (/<\/dd>/)
        returns = 0
}
{ print > out }
