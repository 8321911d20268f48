# SPDX-License-Identifier: MIT
#
# Lists the functions of C sources whose bodies stand in braces of their own at the left edge:
#
#   FILE LINE NAME LENGTH PARAMETERS static|extern
#
# LENGTH counts from the line of the result type to the closing brace.

FNR == 1 { signature = ""; inside = comment = continued = 0 }

{ line = $0 }

# Comments and preprocessor lines are none of our business.
comment {
    if (!sub(/^.*\*\//, "", line)) next
    comment = 0
}
{
    gsub(/\/\*([^*]|\*[^\/])*\*\//, "", line)
    sub(/\/\/.*/, "", line)
    if (sub(/\/\*.*/, "", line)) comment = 1
}
line ~ /^#/ || continued { continued = (line ~ /\\$/); next }

inside {
    if (line ~ /^}/) {
        print FILENAME, start, name, FNR - start + 1, parameters, linkage
        inside = 0
        signature = ""
    }
    next
}

line ~ /^{ *$/ && signature ~ /\(/ { inside = 1; parse(); next }
line ~ /^[ \t]*$/ { next }
line ~ /[;{}] *$/ || line ~ /^}/ { signature = ""; next }
{
    if (signature == "") start = FNR
    signature = signature " " line
}

# Takes name, linkage and the number of parameters from the signature.
function parse(    head, rest, i, depth, c)
{
    while (signature ~ /__attribute__ *\(\(/)
        if (!sub(/__attribute__ *\(\(([^()]|\(([^()]|\([^()]*\))*\))*\)\)/, "", signature)) break
    head = signature
    sub(/\(.*/, "", head)
    rest = substr(signature, length(head) + 2)
    linkage = head ~ /(^| )static( |$)/ ? "static" : "extern"
    sub(/ +$/, "", head)
    sub(/.*[ *]/, "", head)
    name = head
    parameters = rest ~ /^ *(void *)?\)/ ? 0 : 1
    depth = 0
    for (i = 1; i <= length(rest) && depth >= 0; i++) {
        c = substr(rest, i, 1)
        if (c == "(") depth++
        if (c == ")") depth--
        if (c == "," && depth == 0) parameters++
    }
}
