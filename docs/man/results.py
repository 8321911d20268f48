# SPDX-License-Identifier: MIT
"""RETURN VALUE: what a comment tells behind @return, as a list of codes."""

import re

import roff
from phrases import raised
from roff import bold, sentences, tagged

CODE = r"\\fB(MP_(?:E[A-Z]+|OWNERDEAD|(?:NO_EXITCODE|EXITCODE_UNKNOWN))(?:\(E[A-Z]+\))?)\\fR"


def split(text):
    parts, depth, start = [], 0, 0
    for at, letter in enumerate(text):
        depth += {"(": 1, ")": -1}.get(letter, 0) if text[at - 2:at] != "\\(" else 0
        if letter == ";" and depth <= 0:
            parts.append(text[start:at].strip())
            start = at + 1
    return parts + [text[start:].strip()]


def item(part):
    """The value and what it means, behind a NUL what belongs to no value; or None and the text."""
    found = re.match(r"(?:another |or )?" + CODE + r"(,? and the like)?(.*)$", part)
    if found and not found.group(3).startswith((", \\fBMP_", " or \\fB")):
        tag, rest = bold(found.group(1)) + (found.group(2) or ""), found.group(3)
        after = ""
        if rest.startswith(". "):
            rest, after = "", rest[2:]
        rest = re.sub(r"^ \(a success\)", "a success", rest)
        rest = re.sub(r"^(?:: | |, )", "", rest)
        return tag, rest + "\0" + after
    found = re.match(r"(\d|\\-n|\\-\d|n >= 0|NULL)(?:: (.*)|, (?!or )(.*)| (if .*)|$)", part)
    if found:
        tag = roff.italic("n") + found.group(1)[1:] if found.group(1)[0] == "n" else found.group(1)
        success = "success" + (", " + found.group(3) if found.group(3) else "")
        return tag, found.group(2) or found.group(4) or success
    return None, part


class Results:
    """What the functions of a reference return."""

    def __init__(self, reference):
        self.all = {**reference.functions, **reference.macros}
        self.sentence = {v["name"]: v["brief"].rstrip(".")
                         for v in reference.enums["mp_error"]["values"]}
        self.sentence["MP_ENOMEM"] = "no memory: the region's limit, or the system's refusal"
        self.sentence["MP_ESYS(EMFILE) and the like"] = "no descriptor is left"
        self.sentence["MP_ESYS"] = "another failure of the system"

    def codes(self, name, seen=()):
        """Every code that a function may return, those of functions that it refers to included."""
        found = []
        for part in split(self.all[name]["returns"] if name in self.all else ""):
            tag, _ = item(part)
            found += re.findall(CODE, tag) if tag else []
            found += self.implied(part, (*seen, name)) if tag is None else []
            found += [c for c in re.findall(CODE, part) if tag is None and "but " not in part]
        return list(dict.fromkeys(found))

    def implied(self, part, seen):
        """The codes behind "as mp_x()" and "a code of mp_x(), but MP_Y"."""
        found = []
        for name in re.findall(r"(?:\b[Aa]s|code of|\bor of) \\fB(mp_\w+)\\fR\(3\)", part):
            if name not in seen:
                found += self.codes(name, seen)
        return [c for c in dict.fromkeys(found) if c not in re.findall(r"but " + CODE, part)]

    def returned(self, record):
        """RETURN VALUE: a list of the codes, if there are some."""
        text = record["returns"]
        if not text:
            return []
        lines = [".SH RETURN VALUE"]
        parts = split(text)
        items = [item(part) for part in parts]
        given = {roff.plain(tag).removesuffix(" and the like") for tag, rest in items
                 if tag and not rest.startswith("also ")}
        fresh = True
        for tag, rest in items:
            if tag is None:
                rest = self.extended(rest, given, record)
                lines += ([] if fresh else [".PP"]) + sentences(rest)
            else:
                meaning, _, after = rest.partition("\0")
                lines += tagged(tag, meaning or self.sentence[roff.plain(tag)])
                lines += [".PP", *sentences(after)] if after else []
            fresh = False
        return lines

    def extended(self, text, given, record):
        """A sentence, with the codes that it means without telling them."""
        more = [bold(c) for c in self.implied(text, (record["name"],)) if c not in given]
        head, stop, rest = text.partition(". ")
        end = "" if not more else "; this is " + more[0] if len(more) == 1 else \
            "; these are %s and %s" % (", ".join(more[:-1]), more[-1])
        return raised(head + end + stop + rest, record["names"])
