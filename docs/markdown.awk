# SPDX-License-Identifier: MIT
# Shows Doxygen the texts as it needs them: what only the HTML shall have stands in comments that
# begin with an exclamation mark; a link to what is no page becomes plain text, or leads to one.
/^<!--!.*-->$/ {
    sub(/^<!--! ?/, "")
    sub(/ ?-->$/, "")
}
{
    gsub(/\[MIT\]\(LICENSE\)/, "MIT")
    gsub(/examples\/README\.md/, "docs/examples.md")
}
# In the texts for users a name in backquotes alone is a link; one that does not exist is a warning.
FILENAME ~ /(README|from-python)\.md$/ && !/^    / {
    line = ""
    while (match($0, /`(mp_[a-z_]+|MP_[A-Z_]+)`/)) {
        name = substr($0, RSTART + 1, RLENGTH - 2)
        line = line substr($0, 1, RSTART - 1) "[" name "](@ref " name ")"
        $0 = substr($0, RSTART + RLENGTH)
    }
    $0 = line $0
}
{ print }
