#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the manual pages from the comments of the public headers.

    man.py INCLUDE ERROR_AWK OVERVIEW PROGRAM VERSION DATE OUTPUT

One page for each function, macro with arguments, structure and enumeration (section 3), one for each
group of the headers and the overview OVERVIEW (section 7). Needs Doxygen.
"""

import pathlib
import re
import shutil
import sys

import roff
from reference import Reference
from roff import bold, code, guarded, italic, quoted, sentences, tagged

# What a macro looks like as a function: its arguments have no types that Doxygen could tell.
MACROS = {
    "MP_MAP": "int MP_MAP(mp_pool *pool, mp_task task, const T *in, U *out, size_t count)",
    "MP_PUT": "int MP_PUT(mp_queue *q, T value, double timeout)",
    "MP_GET": "int MP_GET(mp_queue *q, T *pointer, double timeout)",
    "MP_VALUE": "type *MP_VALUE(type, ...)",
    "MP_ARRAY": "type *MP_ARRAY(type, ssize_t count)",
    "MP_AT": "T *MP_AT(T *array, ssize_t index)",
    "MP_WITH": "MP_WITH(object) { ... }",
    "MP_WITH_STATUS": "MP_WITH_STATUS(object, int rc) { ... }",
    "MP_ESYS": "int MP_ESYS(int e)",
    "MP_ERROR_LIST": "MP_ERROR_LIST(X)",
}
# The order in which the overview tells of the groups.
ORDER = ("process pool task result iterator queue connection wait lock rlock semaphore condition event "
         "barrier shared shared_memory conventions errors").split()
CODE = r"\\fB(MP_(?:E[A-Z]+|OWNERDEAD|(?:NO_EXITCODE|EXITCODE_UNKNOWN))(?:\(E[A-Z]+\))?)\\fR"
THREADS = r"(?:^|(?<=[.?!)] ))((?:Not thread\\?-safe|Thread\\?-safe|Repeatable\. Thread\\?-safe)\b.*)$"


def object_of(record):
    """mp_queue of mp_queue_create and mp_queue_new."""
    return re.sub(r"_(create|new|configure)$", "", record["name"])


def lowered(text):
    """The beginning of a sentence, to be put behind a few words."""
    return text if re.match(r"SIG|\\f|[A-Z]{2}", text) else text[:1].lower() + text[1:]


def without_python(text):
    return re.sub(r"(?:^|(?<=[.?!)] ))Python(?::| has| had).*$", "", text).strip()


def summary(brief, calls):
    """One line for whatis(1)."""
    text = roff.plain(without_python(brief)).rstrip(".")
    text = re.sub(r"; see .*", "", text)
    text = re.sub(r"\b(\w+)\([37]\)", lambda m: m.group(1) + ("()" if m.group(1) in calls else ""), text)
    for cut in (". ", "; ", ": ", " - ", ", "):
        if len(text) > 76 and cut in text:
            text = text[:text.index(cut)]
    return roff.prose(lowered(text))


def subject(name, brief):
    """The first sentence, made to begin with the name: "mp_queue_put() puts one message in."""
    first = brief.split(" ", 1)[0].rstrip(",.:;")
    me = bold(name) + "()"
    if re.match(r"(Whether|How|Who|Where|Why|Which)$", first):
        return "%s tells %s" % (me, lowered(brief))
    if first in ("The", "One"):
        return "%s returns %s" % (me, lowered(brief))
    if brief.startswith("\\fB") or first in ("A", "An", "What"):
        return "%s is %s" % (me, lowered(brief))
    return "%s %s" % (me, lowered(brief))


def joined(content):
    """The first sentence and the paragraph behind it, as one."""
    if [kind for kind, _ in content[:2]] == ["text", "text"]:
        return [("text", content[0][1] + " " + content[1][1]), *content[2:]]
    return content


class Manual:
    def __init__(self, reference, version, date, output):
        self.ref, self.version, self.date, self.output = reference, version, date, output
        self.structs = {n: t for n, t in reference.types.items() if t.get("fields")
                        and [f["name"] for f in t["fields"]] != ["opaque"]}
        self.options = {n: t for n, t in self.structs.items() if n.endswith("_options")}
        self.callbacks = {n: t for n, t in reference.types.items() if t["type"].endswith("(*")}
        self.sentence = {v["name"]: v["brief"].rstrip(".") for v in reference.enums["mp_error"]["values"]}
        self.sentence["MP_ENOMEM"] = "no memory: the region's limit, or the system's refusal"
        self.sentence["MP_ESYS(EMFILE) and the like"] = "no descriptor is left"
        self.sentence["MP_ESYS"] = "another failure of the system"
        self.all = {**reference.functions, **reference.macros}

    # Pages

    def write(self, section, name, title, lines, links=()):
        """A page, and under each other name a page that leads to it."""
        folder = self.output / ("man%d" % section)
        head = ["'\\\" t"] if ".TS" in lines else []
        head += [".\\\" SPDX-License-Identifier: MIT",
                 ".\\\" Made from the comments of the headers by docs/man/man.py.",
                 ".TH %s %d %s %s %s" % (name.upper(), section, quoted(self.date),
                                         quoted("libmproc " + self.version), quoted("libmproc manual")),
                 ".ad l", ".nh", ".nr HY 0", ".SH NAME", ", ".join([name, *links]) + " \\- " + title]
        text = "\n".join(head + lines) + "\n"
        me = bold(name) + "(%d)" % section
        text = text.replace("see " + me, "see above")
        text = text.replace(me, bold(name) + ("()" if name in self.all else ""))
        (folder / ("%s.%d" % (name, section))).write_text(text)
        for link in links:
            target = folder / ("%s.%d" % (link, section))
            if target.exists():
                raise SystemExit("man: two pages for " + link)
            target.write_text(".so man%d/%s.%d\n" % (section, name, section))

    def see_also(self, record, text):
        """What a page speaks of, its group, and its neighbours if these are few."""
        names = set(re.findall(r"\\fB(\w+)\\fR\(3\)", text))
        neighbours = [m for m in self.ref.groups[record["group"]]["members"] if m in self.all]
        if len(neighbours) <= 12:
            names |= {m for m in neighbours if not m.endswith("_new")}
        names = {re.sub(r"_new$", "_create", n) for n in names}
        names -= {record["name"], "mp_" + record["group"]}
        pages = {(7, "mproc_" + record["group"]), (7, "mproc")} | {(3, n) for n in names}
        pages |= {(7, p) for p in re.findall(r"\\fB(mproc_\w+)\\fR\(7\)", text)}
        pages = {p for p in pages if p[1] not in (record.get("page"), record["name"])}
        return [".SH SEE ALSO", *self.references(pages)]

    @staticmethod
    def references(pages):
        pages = sorted(pages)
        return [".BR %s (%d)%s" % (n, s, "," if i + 1 < len(pages) else "")
                for i, (s, n) in enumerate(pages)]

    def library(self):
        return [".SH LIBRARY", "Python's multiprocessing for C",
                ".RI ( libmproc ,\n.BR \\-lmproc )"]

    def synopsis(self, record, prototypes):
        lines = [".SH SYNOPSIS", ".nf", ".B #include <%s>" % record["header"]]
        for prototype, names in prototypes:
            lines += [".PP", *self.prototype(prototype, names)]
        return lines + [".fi"]

    @staticmethod
    def prototype(text, names):
        """A declaration, its parameters set off, in lines that fit."""
        head, _, rest = text.partition("(") if ")(" not in text.split("(", 1)[0] else ("", "", text)
        rest = rest.replace("(*", " (*").replace(" *(*", " *(*").replace(",...", ", ...")
        rest = re.sub(r"(\w) +\(\*", r"\1 (*", rest)
        parts, depth, part = [], 0, ""
        for letter in rest:
            depth += {"(": 1, ")": -1}.get(letter, 0)
            part += letter
            if letter == "," and depth == 0:
                parts.append(part)
                part = ""
        parts.append(part + ";")
        rows, row = [], head + "("
        for part in parts:
            if len(row) + len(part) > 71 and row != head + "(":
                rows.append(row.rstrip())
                row = " " * len(head + "(") + part.lstrip()
            else:
                row += part
        rows.append(row)
        lines = []
        for row in rows:
            pieces = re.split(r"(?<![\w.])(%s)(?=[,);\[]|$)" % "|".join(map(re.escape, names or ["\0"])), row)
            shown = [quoted(code(piece)) for piece in pieces]
            lines.append((".BI " if len(shown) > 1 else ".B ") + " ".join(shown))
        return lines

    # Parts of a page of section 3

    def described(self, record, opening):
        """DESCRIPTION, and the sections for what is said about threads and about Python."""
        brief = without_python(record["brief"])
        python = self.python_of(record["brief"])
        content, threads = [("text", opening(brief))] if brief else [], ""
        for kind, value in record["details"]:
            if kind == "text":
                python = self.python_of(value) or python
                value = without_python(value)
                found = re.search(THREADS, value)
                if found:
                    threads = found.group(1)
                    value = value[:found.start(1)].strip()
                if not value:
                    continue
            content.append((kind, value))
        return joined(content), threads, python

    @staticmethod
    def python_of(text):
        found = re.search(r"(?:^|(?<=[.?!)] ))Python(: | has | had )(.*)$", text)
        if not found or found.group(2).strip() in ("\\-", "-", "\\-."):
            return ""
        rest = re.sub(r"\\fB(\w+)\\fR\([23]\)", r"\1()", found.group(2).strip())
        return rest if found.group(1) == ": " else "Python" + found.group(1) + rest

    def tail(self, threads, python):
        lines = []
        if threads:
            lines += [".SH THREADS, SIGNALS AND FORK", *sentences(threads)]
        if python:
            lines += [".SH PYTHON", *sentences(python)]
        return lines

    def parameters(self, record):
        lines = [".SH PARAMETERS"] if record["parameters"] else []
        for parameter in record["parameters"]:
            out = " (out)" if parameter["out"] == ["out"] else \
                  " (in, out)" if parameter["out"] == ["in,out"] else ""
            tag = ", ".join(italic(code(n)) for n in parameter["names"]) + out
            text = re.sub(r"see \\fBmp_\w+_options\\fR(\(3\))?", "see \\\\fBOPTIONS\\\\fR below",
                          parameter["text"])
            lines += tagged(tag, text)
        return lines

    def codes(self, name, seen=()):
        """Every code that a function may return, those of functions that it refers to included."""
        found = []
        for part in self.split(self.all[name]["returns"] if name in self.all else ""):
            tag, _ = self.item(part)
            found += re.findall(CODE, tag) if tag else []
            found += self.implied(part, (*seen, name)) if tag is None else []
            found += [c for c in re.findall(CODE, part) if tag is None and "but " not in part]
        return list(dict.fromkeys(found))

    def implied(self, part, seen):
        """The codes behind "as mp_x()" and "a code of mp_x(), but MP_Y"."""
        found = []
        for name, not_all in re.findall(r"(?:\b[Aa]s|code of|\bor of) \\fB(mp_\w+)\\fR\(3\)( that is not)?", part):
            if name not in seen and not not_all:
                found += self.codes(name, seen)
        return [c for c in dict.fromkeys(found) if c not in re.findall(r"but " + CODE, part)]

    def returned(self, record):
        """RETURN VALUE: a list of the codes, if there are some."""
        text = record["returns"]
        if not text:
            return []
        lines = [".SH RETURN VALUE"]
        parts = self.split(text)
        items = [self.item(part) for part in parts]
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

    @staticmethod
    def sentence_of(text, names):
        text = re.sub(r"^or (?=an? )", "It may also be ", text)
        if re.match(r"\w+", text) and re.match(r"\w+", text).group(0) not in (*names, "data_size"):
            text = text[:1].upper() + text[1:]
        return text if text.endswith((".", "!")) else text + "."

    @staticmethod
    def split(text):
        parts, depth, start = [], 0, 0
        for at, letter in enumerate(text):
            depth += {"(": 1, ")": -1}.get(letter, 0) if text[at - 2:at] != "\\(" else 0
            if letter == ";" and depth <= 0:
                parts.append(text[start:at].strip())
                start = at + 1
        return parts + [text[start:].strip()]

    @staticmethod
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

    def extended(self, text, given, record):
        """A sentence, with the codes that it means without telling them."""
        more = [bold(c) for c in self.implied(text, (record["name"],)) if c not in given]
        head, stop, rest = text.partition(". ")
        end = "" if not more else "; this is " + more[0] if len(more) == 1 else \
            "; these are %s and %s" % (", ".join(more[:-1]), more[-1])
        return self.sentence_of(head + end + stop + rest, record["names"])

    def members(self, struct):
        lines = []
        for field in struct["fields"]:
            tag = bold(code(field["name"])) + code(field["args"] if field["args"][:1] == "[" else "")
            kind = field["type"] + (field["args"] if field["args"][:1] == ")" else "")
            kind = re.sub(r"\(\*\)", " (*)", kind).replace("  ", " ")
            kind = "" if field["inner"] else " (%s)" % italic(code(kind))
            text = [*([("text", field["brief"])] if field["brief"] else []), *field["details"]]
            lines += tagged(tag + kind, joined(text))
        return lines

    def enum_values(self, enum):
        lines = []
        for value in enum["values"]:
            lines += tagged(bold(value["name"]), joined([("text", value["brief"]), *value["details"]]))
        return lines

    def enums_in(self, lines):
        text = "\n".join(lines)
        return [e for n, e in self.ref.enums.items() if n != "mp_error" and
                (bold(n) in text)]

    def options_part(self, record):
        """The members of the options of a constructor."""
        struct = self.options.get(object_of(record) + "_options")
        if record["name"] == "mp_arena_configure":
            struct = self.options["mp_arena_options"]
        if struct is None or record["name"].endswith("_init"):
            return []
        fields = [f for f in struct["fields"] if f["name"] != "size"]
        lines = [".SH OPTIONS"]
        new = object_of(record) + "_new"
        if new in self.ref.macros:
            lines += sentences("%s() takes options as keywords, %s() in a structure %s whose member %s "
                               "is sizeof(%s)." % (bold(new), bold(record["name"]), bold(struct["name"]),
                                                   bold("size"), struct["name"]))
        else:
            lines += sentences("They stand in a structure %s whose member %s is sizeof(%s)." % (
                bold(struct["name"]), bold("size"), struct["name"]))
        if not fields:
            return lines + ["There are none in this release."]
        lines += ["A member that is 0 or NULL is not given."]
        body = self.members({**struct, "fields": fields})
        body = [re.sub(r"^(\\&)?\\fB", r"\\fB.", line) if body[i - 1] == ".TP" else line
                for i, line in enumerate(body)]
        for enum in self.enums_in(body):
            body += [".SS %s" % enum["name"], *sentences(enum["brief"]), *self.enum_values(enum)]
        return lines + body

    # Kinds of pages

    def function(self, record):
        name, text = record["name"], record["definition"] + record["args"]
        prototypes, links = [(text, record["names"])], []
        new = self.ref.macros.get(object_of(record) + "_new") if name.endswith("_create") else None
        content, threads, python = self.described(record, lambda brief: subject(name, brief))
        if new:
            links = [new["name"]]
            begin = text[:text.rindex("const ")].replace("_create(", "_new(")
            more = len(self.options[object_of(record) + "_options"]["fields"]) > 1
            begin = begin + ".option = value, ...)" if more else begin.rstrip(", ") + ")"
            prototypes.append((begin, record["names"]))
            macro, _, _ = self.described(new, lambda brief: bold(new["name"]) + "() is " + brief)
            content += macro
        if name + "_options" in self.options or object_of(record) + "_options" in self.options:
            if name.endswith(("_create", "_configure")):
                struct = object_of(record) + "_options"
                links += [struct]
        if name == "mp_arena_configure":
            links = ["mp_arena_options"]
        lines = [*self.library(), *self.synopsis(record, prototypes),
                 ".SH DESCRIPTION", *roff.blocks(content, first=True), *self.parameters(record),
                 *self.options_part(record), *self.returned(record), *self.tail(threads, python)]
        self.write(3, name, summary(record["brief"], self.all), [*lines, *self.see_also(record, "\n".join(lines))],
                   links)

    def macro(self, record):
        name = record["name"]
        if name.endswith("_new"):
            return
        if name not in MACROS:
            raise SystemExit("man: add the form of %s to MACROS in docs/man/man.py" % name)
        content, threads, python = self.described(record, lambda brief: subject(name, brief))
        shape = MACROS[name]
        if "{" in shape:
            prototype = [".BI %s %s %s" % (quoted(name + "("), record["names"][0], quoted(") { ... }"))] \
                if len(record["names"]) == 1 else [".BI %s %s \", int \" %s %s" % (
                    quoted(name + "("), *record["names"], quoted(") { ... }"))]
            synopsis = [".SH SYNOPSIS", ".nf", ".B #include <%s>" % record["header"], ".PP", *prototype,
                        ".fi"]
        else:
            synopsis = self.synopsis(record, [(shape, record["names"])])
        lines = [*self.library(), *synopsis, ".SH DESCRIPTION", *roff.blocks(content, first=True),
                 *self.parameters(record), *self.returned(record), *self.tail(threads, python)]
        self.write(3, name, summary(record["brief"], self.all), [*lines, *self.see_also(record, "\n".join(lines))])

    def declaration(self, lines, record):
        return [".SH SYNOPSIS", ".nf", ".B #include <%s>" % record["header"], ".PP",
                *[".B " + quoted(code(line)) for line in lines], ".fi"]

    def struct(self, record):
        rows = ["typedef struct %s {" % record["name"]]
        for f in record["fields"]:
            if f["inner"]:
                rows.append("    struct { ... } %s%s;" % (f["name"], f["args"]))
                continue
            kind = f["type"].replace("(*", " (*").replace("  (*", " (*")
            gap = "" if kind.endswith("*") else " "
            rows.append("    %s%s%s%s;" % (kind, gap, f["name"], f["args"]))
        rows.append("} %s;" % record["name"])
        content, threads, python = self.described(record, lambda brief: brief)
        members = self.members(record)
        for enum in self.enums_in(members):
            members += [".SS %s" % enum["name"], *sentences(enum["brief"]), *self.enum_values(enum)]
        lines = [*self.library(), *self.declaration(rows, record), ".SH DESCRIPTION",
                 *roff.blocks(content, first=True), ".SH MEMBERS", *members, *self.tail(threads, python)]
        self.write(3, record["name"], summary(record["brief"], self.all),
                   [*lines, *self.see_also(record, "\n".join(lines))])

    def callback(self, record):
        content, threads, python = self.described(record, lambda brief: brief)
        text = record["type"].replace("(*", " (*") + record["name"] + record["args"] + ";"
        lines = [*self.library(), *self.declaration(["typedef " + text], record), ".SH DESCRIPTION",
                 *roff.blocks(content, first=True), *self.parameters(record), *self.returned(record),
                 *self.tail(threads, python)]
        self.write(3, record["name"], summary(record["brief"], self.all),
                   [*lines, *self.see_also(record, "\n".join(lines))])

    def enum(self, record):
        rows = ["enum %s {" % record["name"]]
        rows += ["    %s %s," % (v["name"], v["value"]) for v in record["values"]] + ["};"]
        content, threads, python = self.described(record, lambda brief: brief)
        lines = [*self.library(), *self.declaration(rows, record), ".SH DESCRIPTION",
                 *roff.blocks(content, first=True), *self.enum_values(record), *self.tail(threads, python)]
        self.write(3, record["name"], summary(record["brief"], self.all),
                   [*lines, *self.see_also(record, "\n".join(lines))])

    def group(self, record):
        name = record["name"]
        members = [m for m in record["members"]]
        headers = sorted({r["header"] for kind in (self.ref.functions, self.ref.macros, self.ref.types)
                          for m, r in kind.items() if m in members})
        content, _, python = self.described(record, lambda brief: brief)
        lines = [*self.library(), ".SH SYNOPSIS", ".nf", *[".B #include <%s>" % h for h in headers], ".fi",
                 ".SH DESCRIPTION", *roff.blocks(content, first=True)]
        in_sections = {m for s in record["sections"] for m in s["members"]}
        if "mp_error" in members:
            lines += self.code_list()
        lines += self.contents([m for m in members if m not in in_sections])
        for section in record["sections"]:
            content, _, also = self.described({"brief": "", "details": section["details"]}, str)
            lines += [".SH " + section["title"].upper(), *roff.blocks(content, first=True)]
            lines += sentences("Python: " + also) if also else []
            lines += self.contents(section["members"], sub=True)
        lines += self.tail("", python)
        objects = [t for t in self.ref.types if t not in self.structs and t not in self.callbacks]
        links = ["mp_" + name] if "mp_" + name in objects else []
        also = {**record, "group": name, "page": "mproc_" + name}
        titles = lines + [bold("mproc_conventions") + "(7)", bold("mproc_errors") + "(7)"]
        references = self.see_also(also, re.sub(r"\\fB\w+\\fR\(3\)", "", "\n".join(titles)))
        references = [r for r in references if "(3)" not in r]
        self.write(7, "mproc_" + name, summary(record["brief"], self.all), [*lines, *references], links)

    def code_list(self):
        """The codes, from the table of their meanings."""
        numbers = {v["name"]: v["value"].strip("= ()") for v in self.ref.enums["mp_error"]["values"]}
        lines = [".SH CODES"]
        for names, python, meaning in dict(self.ref.enums["mp_error"]["details"])["table"][1:]:
            tags = ["%s (%s)" % (name, code(numbers[roff.plain(name)])) for name in names.split(", ")]
            python = "" if python in ("-", "\\-") else " Python: %s." % python
            lines += tagged(", ".join(tags), meaning + "." + python)
        return lines

    def contents(self, members, sub=False):
        """What a group has: constants, types, functions, each with a line."""
        heading = ".SS " if sub else ".SH "
        constants = [self.ref.constants[m] for m in members if m in self.ref.constants]
        types = [r for m in members for r in [self.structs.get(m) or self.callbacks.get(m)
                 or (self.ref.enums.get(m) if m != "mp_error" else None)]
                 if r and not m.endswith("_options")]
        calls = [self.all[m] for m in members if m in self.all and not m.endswith("_new")]
        lines = []
        for title, records in (("Constants", constants), ("Types", types), ("Functions", calls)):
            lines += [heading + (title if sub else title.upper())] if records else []
            for r in records:
                text = r["brief"] + (" " + " ".join(t for k, t in r["details"] if k == "text")
                                     if title == "Constants" else "")
                tag = bold(r["name"]) + ("" if title == "Constants" else "(3)")
                if r["name"].endswith("_create") and r["name"].replace("_create", "_new") in self.all:
                    tag += ", " + bold(r["name"].replace("_create", "_new")) + "(3)"
                lines += tagged(tag, without_python(text) if title != "Constants" else text)
        return lines

    def overview(self, source, program):
        """The page that stands by itself: its text is written by hand, its table of objects is not."""
        if sorted(ORDER) != sorted(self.ref.groups):
            raise SystemExit("man: ORDER in docs/man/man.py has other groups than the headers")
        text = source.read_text().replace("@VERSION@", self.version).replace("@DATE@", self.date)
        lines = []
        for line in text.rstrip("\n").split("\n"):
            if line == "@PAGES@":
                lines += self.references({(7, "mproc_" + n) for n in self.ref.groups})
            elif line == "@OBJECTS@":
                for name in ORDER:
                    lines += tagged(bold("mproc_" + name) + "(7)",
                                    without_python(self.ref.groups[name]["brief"]))
            elif line == "@PROGRAM@":
                lines += roff.listing(program.read_text().split("*/\n", 1)[-1])[1:]
            else:
                lines.append(line)
        (self.output / "man7" / "mproc.7").write_text("\n".join(lines) + "\n")
        (self.output / "man7" / "libmproc.7").write_text(".so man7/mproc.7\n")


def main():
    include, awk, source, program, version, date, output = sys.argv[1:]
    output = pathlib.Path(output)
    work = output / "reference"
    for folder in ("man3", "man7", "reference"):
        shutil.rmtree(output / folder, ignore_errors=True)
        (output / folder).mkdir(parents=True)
    reference = Reference(pathlib.Path(include), work, awk)
    manual = Manual(reference, version, date, output)
    for make, records in ((manual.function, reference.functions), (manual.macro, reference.macros),
                          (manual.struct, {n: s for n, s in manual.structs.items()
                                           if n not in manual.options}),
                          (manual.callback, manual.callbacks),
                          (manual.enum, {n: e for n, e in reference.enums.items() if n != "mp_error"}),
                          (manual.group, reference.groups)):
        for name in sorted(records):
            make(records[name])
    manual.overview(pathlib.Path(source), pathlib.Path(program))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
