# SPDX-License-Identifier: MIT
#
#   awk -f docs/sequence.awk docs/pictures/NAME.seq >NAME.svg
#
# Draws what passes between some over time, for a page to take in. It has no colours of its own:
# docs/site/style.css gives them, for light and dark. Text is measured generously, since nobody
# knows the reader's font. The lines of a picture:
#
#   # comment
#   lanes: program | queue | consumer    who takes part, from left to right
#   program -> queue: put("a")           an arrow with its text; ~> is dashed
#   consumer: waits                      a note on a lane
#   consumer sleeps, consumer wakes      its lane gets thin and dashed, then thick again
#   consumer dies: SIGKILL               a cross; the lane ends
#   gap                                  some space
#   text: something                      across all lanes
BEGIN {
    CHAR = 7.4   # width of a character, and of one in bold
    BOLD = 8.2
    ROW = 34     # from one event to the next
    MARGIN = 10
}
function trim(s) {
    gsub(/^[ \t]+|[ \t]+$/, "", s)
    return s
}
function escape(s) {
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    gsub(/>/, "\\&gt;", s)
    gsub(/"/, "\\&quot;", s)
    return s
}
# Characters, not the bytes that some awks count.
function width(s, char) {
    gsub(/[\200-\277]/, "", s)
    return length(s) * char
}
function wrong(why) {
    printf "%s:%d: %s\n", FILENAME, FNR, why > "/dev/stderr"
    failed = 1
    exit 1
}
function lane(name) {
    name = trim(name)
    if (!(name in number))
        wrong("no lane is called \"" name "\"")
    return number[name]
}
function event(kind, from, to, words) {
    events++
    what[events] = kind
    first[events] = from
    second[events] = to
    said[events] = words
}
# At least so far apart are two lanes.
function room(from, to, wide, swap) {
    if (from > to) {
        swap = from
        from = to
        to = swap
    }
    needs++
    needs_from[needs] = from
    needs_to[needs] = to
    needs_wide[needs] = wide
}
/^[ \t]*(#|$)/ { next }
/^lanes:/ {
    sub(/^lanes:/, "")
    lanes = split($0, names, "|")
    for (i = 1; i <= lanes; i++) {
        names[i] = trim(names[i])
        number[names[i]] = i
    }
    next
}
!lanes { wrong("the lanes come first") }
/^gap[ \t]*$/ { event("gap"); next }
/^text:/ {
    event("text", 1, lanes, trim(substr($0, 6)))
    next
}
match($0, /[-~]>/) && (!index($0, ":") || RSTART < index($0, ":")) {
    at = index($0, ":")
    words = at ? trim(substr($0, at + 1)) : ""
    head = at ? substr($0, 1, at - 1) : $0
    kind = substr(head, RSTART, 1) == "~" ? "dashed" : "arrow"
    from = lane(substr(head, 1, RSTART - 1))
    to = lane(substr(head, RSTART + 2))
    if (from == to)
        wrong("an arrow from a lane to itself: write a note")
    event(kind, from, to, words)
    room(from, to, width(words, CHAR) + 40)
    next
}
/^[^:]* (sleeps|wakes)[ \t]*$/ {
    kind = $NF
    sub(/ (sleeps|wakes)[ \t]*$/, "")
    event(kind, lane($0), 0, "")
    next
}
/^[^:]* dies[ \t]*(:|$)/ {
    at = index($0, ":")
    words = at ? trim(substr($0, at + 1)) : ""
    sub(/ dies[ \t]*(:.*)?$/, "")
    event("dies", lane($0), 0, words)
    next
}
/:/ {
    at = index($0, ":")
    event("note", lane(substr($0, 1, at - 1)), 0, trim(substr($0, at + 1)))
    next
}
{ wrong("not understood: " $0) }

# Where each lane stands: as near as their names, notes and arrows allow.
function place(i, j, k, need, half, edge) {
    for (i = 1; i <= lanes; i++) {
        half_width[i] = width(names[i], BOLD) / 2 + 12
        for (j = 1; j <= events; j++)
            if (first[j] == i && (what[j] == "note" || what[j] == "dies")) {
                half = width(said[j], CHAR) / 2 + (what[j] == "note" ? 10 : 0)
                # What is said of a death stands beside its cross.
                if (what[j] == "dies")
                    right_of[i] = width(said[j], CHAR) + 16 > right_of[i] ? width(said[j], CHAR) + 16 : right_of[i]
                else if (half > half_width[i])
                    half_width[i] = half
            }
    }
    x[1] = MARGIN + half_width[1]
    for (i = 2; i <= lanes; i++) {
        x[i] = x[i - 1] + half_width[i - 1] + half_width[i] + 14
        if (x[i - 1] + right_of[i - 1] + half_width[i] > x[i])
            x[i] = x[i - 1] + right_of[i - 1] + 14
        for (k = 1; k <= needs; k++)
            if (needs_to[k] == i && x[i] - x[needs_from[k]] < needs_wide[k])
                x[i] = x[needs_from[k]] + needs_wide[k]
    }
    edge = half_width[lanes] > right_of[lanes] ? half_width[lanes] : right_of[lanes]
    total = x[lanes] + edge + MARGIN
    for (j = 1; j <= events; j++)
        if (what[j] == "text" && width(said[j], CHAR) + 2 * MARGIN > total)
            total = width(said[j], CHAR) + 2 * MARGIN
    half = (total - (x[lanes] + edge + MARGIN)) / 2
    for (i = 1; i <= lanes; i++)
        x[i] += half
}
function line(i, until) {
    if (until > since[i])
        printf "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", state[i], x[i], since[i], x[i], until
    since[i] = until
}
function label(class, at, y, words, anchor) {
    if (words != "")
        printf "<text class=\"%s\" x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%s</text>\n", class, at, y, anchor, escape(words)
}
function arrow(j, y, from, to, dir) {
    from = x[first[j]]
    to = x[second[j]]
    dir = to > from ? 1 : -1
    printf "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n", what[j], from + 3 * dir, y, to - 9 * dir, y
    printf "<path class=\"head\" d=\"M%.1f %.1f l%d -4.5 v9 z\"/>\n", to - 2 * dir, y, -9 * dir
    label("words", (from + to) / 2, y - 7, said[j], "middle")
}
function box(class, at, y, words, bold, wide) {
    wide = width(words, bold ? BOLD : CHAR) + 16
    printf "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"24\" rx=\"5\"/>\n", class, at - wide / 2, y - 12, wide
    label(bold ? "name" : "words", at, y + 4.5, words, "middle")
}
# The same in words, for who does not see it.
function spoken(j) {
    if (what[j] == "arrow" || what[j] == "dashed")
        return names[first[j]] " to " names[second[j]] ": " said[j] ". "
    if (what[j] == "note")
        return names[first[j]] ": " said[j] ". "
    if (what[j] == "dies")
        return names[first[j]] " dies" (said[j] == "" ? "" : ": " said[j]) ". "
    if (what[j] == "text")
        return said[j] ". "
    if (what[j] == "gap")
        return ""
    return names[first[j]] " " what[j] ". "
}
END {
    if (failed)
        exit 1
    place()
    y = MARGIN + 12
    height = y + 12 + 26
    for (j = 1; j <= events; j++)
        height += what[j] ~ /^(sleeps|wakes)$/ ? 0 : what[j] == "gap" ? ROW / 2 : ROW
    height += MARGIN
    id = FILENAME
    sub(/.*\//, "", id)
    sub(/\.seq$/, "", id)
    id = "sequence-" id
    for (j = 1; j <= events; j++)
        words_of_all = words_of_all spoken(j)
    all = names[1]
    for (i = 2; i <= lanes; i++)
        all = all (i == lanes ? " and " : ", ") names[i]
    printf "<div class=\"sequence\"><svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" aria-labelledby=\"%s-t %s-d\"", id, id
    printf " viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n", total + 0.5, height, total + 0.5, height
    printf "<title id=\"%s-t\">What passes between %s</title>\n<desc id=\"%s-d\">%s</desc>\n", id, escape(all), id, escape(trim(words_of_all))
    for (i = 1; i <= lanes; i++) {
        state[i] = "lane"
        since[i] = y + 12
    }
    top = y
    y += 12 + 26
    for (j = 1; j <= events; j++) {
        i = first[j]
        step = ROW
        if (what[j] == "gap") {
            step = ROW / 2
        } else if (what[j] == "sleeps" || what[j] == "wakes") {
            line(i, y - ROW / 2)
            state[i] = what[j] == "sleeps" ? "lane asleep" : "lane"
            step = 0
        } else if (what[j] == "dies") {
            line(i, y)
            since[i] = height * 2
            later = later sprintf("<path class=\"death\" d=\"M%.1f %.1f l14 14 m0 -14 l-14 14\"/>\n", x[i] - 7, y - 7)
            later_label[++deaths] = j
            later_y[deaths] = y
        } else if (what[j] == "text") {
            later_label[++deaths] = j
            later_y[deaths] = y
        } else {
            later_label[++deaths] = j
            later_y[deaths] = y
        }
        y += step
    }
    for (i = 1; i <= lanes; i++)
        line(i, height - MARGIN / 2)
    for (k = 1; k <= deaths; k++) {
        j = later_label[k]
        if (what[j] == "dies")
            label("words", x[first[j]] + 14, later_y[k] + 4.5, said[j], "start")
        else if (what[j] == "text") {
            printf "<rect class=\"across\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"24\"/>\n", MARGIN / 2, later_y[k] - 14, total - MARGIN
            label("words text", total / 2, later_y[k] + 3, said[j], "middle")
        } else if (what[j] == "note")
            box("note", x[first[j]], later_y[k], said[j], 0)
        else
            arrow(j, later_y[k])
    }
    printf "%s", later
    for (i = 1; i <= lanes; i++)
        box("who", x[i], top, names[i], 1)
    print "</svg></div>"
}
