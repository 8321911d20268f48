# SPDX-License-Identifier: MIT
"""Text as man(7) wants it: what is escaped, where a line may begin, how a table is laid out."""

import re
import textwrap

ALWAYS = {"\\": "\\(rs", "^": "\\(ha", "~": "\\(ti", "`": "\\(ga", "\u2013": "\\(en",
          "\u2014": "\\(em", "\u2018": "'", "\u2019": "'", "\u201c": "\\(lq", "\u201d": "\\(rq",
          "\u00a0": "\\ ", "\u2192": "\\(->", "\u03c0": "\\(*p"}
GLYPHS = {"rs": "\\", "ha": "^", "ti": "~", "ga": "`", "en": "-", "em": "-", "lq": '"', "rq": '"',
          "aq": "'", "dq": '"', "->": "->", "*p": "p", "bu": "*"}


def character(c):
    return ALWAYS.get(c) or (c if c in "\n\t" or " " <= c <= "~" else "\\[u%04X]" % ord(c))


def prose(text):
    """Escapes running text. A hyphen between letters stays one; else it is a minus sign."""
    text = "".join(character(c) for c in text)
    return re.sub(r"(?<![A-Za-z0-9])-|-(?![A-Za-z0-9])", r"\\-", text)


def code(text):
    """Escapes what somebody may copy: each character is itself."""
    text = "".join(character(c) for c in text)
    return text.replace("-", "\\-").replace("'", "\\(aq")


def bold(text):
    return "\\fB" + text + "\\fR"


def italic(text):
    return "\\fI" + text + "\\fR"


def plain(text):
    """What a reader sees of it."""
    text = re.sub(r"\\f[BIRP]", "", text)
    text = re.sub(r"\\\[u[0-9A-F]+\]", "?", text)
    text = re.sub(r"\\\((..)", lambda m: GLYPHS.get(m.group(1), "?"), text)
    return text.replace("\\-", "-").replace("\\&", "").replace("\\ ", " ")


def width(text):
    return len(plain(text))


def quoted(text):
    """An argument of a macro."""
    return '"' + text.replace('"', "\\(dq") + '"'


def guarded(line):
    """A line of text that cannot be taken for a macro."""
    return "\\&" + line if line[:1] in (".", "'") else line


def sentences(text):
    """Lines of text: each sentence begins on a line of its own."""
    lines = []
    for sentence in re.split(r"(?<=[a-z)A-Z0-9][.!?])\s+(?=[A-Z\\`\"])", text.strip()):
        lines += textwrap.wrap(sentence, 78, break_long_words=False, break_on_hyphens=False)
    return [guarded(line) for line in lines]


def listing(text):
    lines = [guarded(code(line)) for line in text.strip("\n").split("\n")]
    return [".PP", ".in +4n", ".EX", *lines, ".EE", ".in"]


def table(rows, head=True, room=67):
    """A table of tbl(1) that is no wider than the page: the widest column is broken into lines."""
    count = len(rows[0])
    widths = [max(width(row[i]) for row in rows) for i in range(count)]
    free = room - 3 * (count - 1)
    while sum(widths) > free:
        widest = widths.index(max(widths))
        others = sorted(widths)[-2] if count > 1 else 0
        widths[widest] = max(free - (sum(widths) - widths[widest]), min(others, free // count), 10)
        if widths[widest] == others:
            widths[widest] -= 1
    formats = " ".join("lw(%dn)" % w for w in widths)
    lines = [".PP", ".TS", "tab(@);"]
    lines += [" ".join("lbw(%dn)" % w for w in widths)] if head else []
    lines += [formats + "."]
    for row in rows:
        cells = []
        for cell, room_of_it in zip(row, widths):
            cell = guarded(cell)
            fits = width(cell) <= room_of_it and "@" not in cell
            cells.append(cell if fits else "T{\n" + cell + "\nT}")
        lines += "@".join(cells).split("\n")
    return lines + [".TE"]


def blocks(content, first=False):
    """Paragraphs, lists, listings and tables, as doxygen.blocks() tells them."""
    lines = []
    for kind, value in content:
        if kind == "text":
            lines += ([] if first and not lines else [".PP"]) + sentences(value)
        elif kind == "code":
            lines += listing(value)
        elif kind == "table":
            lines += table(value)
        elif kind == "list":
            for item in value:
                body = blocks(item, first=True)
                body = [".IP" if line == ".PP" else line for line in body]
                lines += [".IP \\(bu 3", *body]
    return lines


def tagged(tag, content):
    """An entry of a list of terms; content is a text or blocks."""
    body = sentences(content) if isinstance(content, str) else blocks(content, first=True)
    body = [".IP" if line == ".PP" else line for line in body]
    return [".TP", guarded(tag), *body]
