# SPDX-License-Identifier: MIT
#
# Shows Doxygen the texts as it needs them: the first heading gets a name after its file
# (docs/from-python.md: from_python, docs/guide/queue.md: guide_queue), the others one after their
# words, so that addresses last; there is a table of contents where there is something to choose
# from; a link to what is no page becomes plain text or leads to one.
# Lines of their own:
#
#   @twins{NAME}       examples/guide/NAME.c beside NAME.py, and what both print
#   @output{FILE}      what a program prints, below examples/
#   @sequence{NAME}    the picture of docs/pictures/NAME.seq
function label(file) {
    sub(/.*docs\/guide\//, "guide_", file)
    sub(/.*\//, "", file)
    sub(/\.md$/, "", file)
    gsub(/-/, "_", file)
    return tolower(file)
}
# How many headings below the first, and whether the text says where its table of contents goes.
function look(file, line, code) {
    sections = contents = 0
    while ((getline line < file) > 0) {
        if (line ~ /^```/)
            code = !code
        if (!code && line ~ /^#+ /)
            sections++
        if (line ~ /^(@|\\)tableofcontents|^\[TOC\]/)
            contents = 1
    }
    close(file)
}
function division(class) {
    print "<div class=\"" class "\">"
}
function title(words) {
    print "<div class=\"twin-title\">" words "</div>"
}
function ending() {
    print "</div>"
}
function output(file) {
    division("output")
    print "@verbinclude " file
    ending()
}
FNR == 1 {
    look(FILENAME)
    # In the texts for users a name in backquotes alone is a link; one that does not exist is a warning.
    linked = FILENAME !~ /(design|decisions|pains|CHANGELOG|CONTRIBUTING)\.md$/
}
/^```/ {
    code = !code
}
!titled && /^# / {
    titled = 1
    if ($0 !~ /\{#[a-z_]+\}/)
        $0 = $0 " {#" label(FILENAME) "}"
    if (sections > 3 && !contents && label(FILENAME) != "start")
        $0 = $0 "\n\n@tableofcontents"
}
titled && !code && /^##* / && !/\{#[^}]*\}/ {
    name = $0
    gsub(/`|^#* */, "", name)
    gsub(/[^A-Za-z0-9]+/, "_", name)
    sub(/_$/, "", name)
    name = label(FILENAME) "_" tolower(name)
    if (named[name]++)
        name = name "_" named[name]
    $0 = $0 " {#" name "}"
}
/^@(twins|output|sequence)\{[^}]*\}$/ {
    name = substr($0, index($0, "{") + 1)
    sub(/}$/, "", name)
    if (/^@sequence/)
        print "@htmlinclude " name ".svg"
    if (/^@output/)
        output(name)
    if (/^@twins/) {
        division("twins")
        title("C")
        print "@include guide/" name ".c"
        title("Python")
        print "@include guide/" name ".py"
        ending()
        output("guide/" name ".out")
    }
    next
}
!code {
    gsub(/\[MIT\]\(\.?\.?\/?LICENSE\)/, "MIT")
    gsub(/\(([.][.]\/)*examples\/README\.md\)/, "(docs/examples.md)")
    gsub(/\(([^() ]*\/)?(README|start)\.md\)/, "(@ref start)")
}
linked && !code && !/^    / {
    line = ""
    while (match($0, /`(mp_[a-z_]*[a-z]|MP_[A-Z_]*[A-Z])(\(\))?`/)) {
        name = shown = substr($0, RSTART + 1, RLENGTH - 2)
        sub(/\(\)$/, "", name)
        line = line substr($0, 1, RSTART - 1) "[" shown "](@ref " name ")"
        $0 = substr($0, RSTART + RLENGTH)
    }
    $0 = line $0
}
{ print }
