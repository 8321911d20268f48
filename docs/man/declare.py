# SPDX-License-Identifier: MIT
"""SYNOPSIS: what the compiler sees, in lines that fit on a page."""

import re

from roff import code, quoted

ROOM = 71

# What a macro looks like as a function: its arguments have no types that Doxygen could tell.
MACROS = {
    "MP_MAP": "int MP_MAP(mp_pool *pool, mp_task task, const T *in, U *out, size_t count);",
    "MP_PUT": "int MP_PUT(mp_queue *q, T value, double timeout);",
    "MP_GET": "int MP_GET(mp_queue *q, T *pointer, double timeout);",
    "MP_VALUE": "type *MP_VALUE(type, ...);",
    "MP_ARRAY": "type *MP_ARRAY(type, ssize_t count);",
    "MP_AT": "T *MP_AT(T *array, ssize_t index);",
    "MP_WITH": "MP_WITH(object) { ... }",
    "MP_WITH_STATUS": "MP_WITH_STATUS(object, int rc) { ... }",
    "MP_ESYS": "int MP_ESYS(int e);",
    "MP_ERROR_LIST": "MP_ERROR_LIST(X)",
}


def spaced(text):
    """C as it is written here: Doxygen sets no space before the star of a pointer to a function."""
    text = re.sub(r"(?<=[\w*]) ?\(\*", " (*", text).replace(",...", ", ...")
    return text.replace("* (*", "*(*")


def broken(text):
    """The rows of a declaration: behind a comma the next begins under the first parameter."""
    head, _, rest = text.partition("(")
    parts, depth, part = [], 0, ""
    for letter in rest:
        depth += {"(": 1, ")": -1}.get(letter, 0)
        part += letter
        if letter == "," and depth == 0:
            parts.append(part)
            part = ""
    rows, row = [], head + "("
    for part in [*parts, part]:
        if len(row) + len(part) > ROOM and row != head + "(":
            rows.append(row)
            row = " " * len(head + "(") + part.lstrip()
        else:
            row += part
    return rows + [row]


def prototype(text, names):
    """A declaration with its parameters set off."""
    parameter = r"(?<![\w.])(%s)(?=[,);\[]|$)" % "|".join(map(re.escape, names or ["\0"]))
    lines = []
    for row in broken(spaced(text)):
        pieces = [quoted(code(piece)) for piece in re.split(parameter, row)]
        lines.append((".BI " if len(pieces) > 1 else ".B ") + " ".join(pieces))
    return lines


def constructor(record, has_options):
    """The keyword form of mp_x_create()."""
    text = record["definition"] + record["args"]
    text = text[:text.rindex("const ")].replace("_create(", "_new(")
    return (text + ".option = value, ..." if has_options else text.rstrip(", ")) + ");"


def plain(rows):
    return [".B " + quoted(code(row)) for row in rows]


def struct(record):
    rows = []
    for field in record["fields"]:
        kind = spaced(field["type"])
        gap = "" if kind.endswith("*") else " "
        rows.append("    %s%s%s%s;" % (kind, gap, field["name"], field["args"]))
    return plain(["typedef struct %s {" % record["name"], *rows, "} %s;" % record["name"]])


def callback(record):
    return plain(["typedef %s%s%s;" % (spaced(record["type"]), record["name"], record["args"])])


def enum(record):
    rows = ["    %s %s," % (v["name"], v["value"]) for v in record["values"]]
    return plain(["enum %s {" % record["name"], *rows, "};"])


def synopsis(headers, *declarations):
    lines = [".SH LIBRARY", "Python's multiprocessing for C", ".RI ( libmproc ,", ".BR \\-lmproc )",
             ".SH SYNOPSIS", ".nf", *[".B #include <%s>" % header for header in headers]]
    for declaration in declarations:
        lines += [".PP", *declaration]
    return lines + [".fi"]
