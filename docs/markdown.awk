# SPDX-License-Identifier: MIT
# Shows Doxygen the texts as it needs them: what only the HTML shall have stands in comments that
# begin with an exclamation mark; a link to what is no page becomes plain text, or leads to the page.
/^<!--!.*-->$/ {
    sub(/^<!--! ?/, "")
    sub(/ ?-->$/, "")
}
{
    gsub(/\[MIT\]\(LICENSE\)/, "MIT")
    gsub(/examples\/README\.md/, "docs/examples.md")
    print
}
