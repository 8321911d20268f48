#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the manual pages from the comments of the public headers.

    man.py INCLUDE ERROR_AWK OVERVIEW PROGRAM VERSION DATE OUTPUT

One page for each function, macro with arguments, structure and enumeration (section 3), one for
each group of the headers, and the overview OVERVIEW (section 7). Needs Doxygen.
"""

import pathlib
import re
import shutil
import sys

import declare
import roff
from phrases import described, object_of, subject, summary, without_python
from reference import Reference
from results import Results
from roff import bold, code, italic, quoted, sentences, tagged

# The order in which the overview tells of the groups.
ORDER = ("process pool task result iterator queue connection wait lock rlock semaphore condition "
         "event barrier shared shared_memory conventions errors").split()
FEW = 12  # neighbours that a page refers to, all of them


class Manual:
    def __init__(self, reference, version, date, output):
        self.ref, self.version, self.date, self.output = reference, version, date, output
        self.structs = {n: t for n, t in reference.types.items() if t.get("fields")
                        and [f["name"] for f in t["fields"]] != ["opaque"]}
        self.options = {n: t for n, t in self.structs.items() if n.endswith("_options")}
        self.callbacks = {n: t for n, t in reference.types.items() if t["type"].endswith("(*")}
        self.enums = {n: e for n, e in reference.enums.items() if n != "mp_error"}
        self.calls = {**reference.functions, **reference.macros}
        self.results = Results(reference)

    def all_pages(self):
        for name in sorted(self.ref.functions):
            self.function(self.ref.functions[name])
        for name in sorted(self.ref.macros):
            if not name.endswith("_new"):
                self.macro(self.ref.macros[name])
        for name in sorted(set(self.structs) - set(self.options)):
            self.struct(self.structs[name])
        for name in sorted(self.callbacks):
            self.callback(self.callbacks[name])
        for name in sorted(self.enums):
            self.enum(self.enums[name])
        for name in sorted(self.ref.groups):
            self.group(self.ref.groups[name])

    # What all pages have

    def write(self, section, name, title, lines, links=()):
        """A page, and under each other name a page that leads to it."""
        folder = self.output / ("man%d" % section)
        head = ["'\\\" t"] if ".TS" in lines else []
        head += [".\\\" SPDX-License-Identifier: MIT",
                 ".\\\" Made from the comments of the headers by docs/man/man.py.",
                 ".TH %s %d %s %s %s" % (name.upper(), section, quoted(self.date),
                                         quoted("libmproc " + self.version),
                                         quoted("libmproc manual")),
                 ".ad l", ".nh", ".nr HY 0",
                 ".SH NAME", ", ".join([name, *links]) + " \\- " + title]
        text = "\n".join(head + lines) + "\n"
        me = bold(name) + "(%d)" % section
        text = text.replace("see " + me, "see above")
        text = text.replace(me, bold(name) + ("()" if name in self.calls else ""))
        (folder / ("%s.%d" % (name, section))).write_text(text, encoding="ascii")
        for link in links:
            target = folder / ("%s.%d" % (link, section))
            if target.exists():
                raise SystemExit("man: two pages for " + link)
            target.write_text(".so man%d/%s.%d\n" % (section, name, section))

    def entry(self, record, lines, links=()):
        """A page of section 3."""
        text = "\n".join(lines)
        names = set(re.findall(r"\\fB(\w+)\\fR\(3\)", text))
        neighbours = [m for m in self.ref.groups[record["group"]]["members"] if m in self.calls]
        if len(neighbours) <= FEW:
            names |= set(neighbours)
        types = (set(self.structs) - set(self.options)) | set(self.callbacks) | set(self.enums)
        names |= types & set(re.findall(r"\bmp_\w+", text))
        names = {re.sub(r"_new$", "_create", n) for n in names} - {record["name"]}
        pages = {(3, n) for n in names} | {(7, "mproc_" + record["group"]), (7, "mproc")}
        pages |= {(7, p) for p in re.findall(r"\\fB(mproc_\w+)\\fR\(7\)", text)}
        self.write(3, record["name"], summary(record["brief"], self.calls),
                   [*lines, *self.see_also(pages)], links)

    @staticmethod
    def see_also(pages):
        lines = [".BR %s (%d)," % (name, section) for section, name in sorted(pages)]
        return [".SH SEE ALSO", *lines[:-1], lines[-1].rstrip(",")]

    @staticmethod
    def tail(threads, python):
        lines = [".SH THREADS, SIGNALS AND FORK", *sentences(threads)] if threads else []
        return lines + ([".SH PYTHON", *sentences(python)] if python else [])

    @staticmethod
    def parameters(record):
        lines = [".SH PARAMETERS"] if record["parameters"] else []
        for parameter in record["parameters"]:
            way = {"out": " (out)", "in,out": " (in, out)"}.get(parameter["out"][0], "")
            tag = ", ".join(italic(code(n)) for n in parameter["names"]) + way
            text = re.sub(r"see \\fBmp_\w+_options\\fR(\(3\))?", "see \\\\fBOPTIONS\\\\fR below",
                          parameter["text"])
            lines += tagged(tag, text)
        return lines

    def members(self, fields, dot=""):
        """The members of a structure, and behind them the enumerations of which they speak."""
        lines = []
        for field in fields:
            array = field["args"] if field["args"][:1] == "[" else ""
            kind = declare.spaced(field["type"] + field["args"][len(array):])
            tag = "%s (%s)" % (bold(dot + code(field["name"])) + code(array), italic(code(kind)))
            lines += tagged(tag, field["text"])
        text = "\n".join(lines)
        for enum in self.enums.values():
            if bold(enum["name"]) in text:
                lines += [".SS " + enum["name"], *sentences(enum["brief"]), *self.values(enum)]
        return lines

    @staticmethod
    def values(enum):
        return [line for v in enum["values"] for line in tagged(bold(v["name"]), v["text"])]

    def options_part(self, record, struct):
        """The members of the options of a constructor."""
        fields = [f for f in struct["fields"] if f["name"] != "size"]
        new, size = object_of(record) + "_new", "sizeof(%s)" % struct["name"]
        if new in self.calls:
            text = "%s() takes options as keywords, %s() in a structure %s whose member %s is %s."
            text %= bold(new), bold(record["name"]), bold(struct["name"]), bold("size"), size
        else:
            text = "They stand in a structure %s whose member %s is %s."
            text %= bold(struct["name"]), bold("size"), size
        text += " A member that is 0 or NULL is not given." if fields else \
                " There are none in this release."
        return [".SH OPTIONS", *sentences(text), *self.members(fields, ".")]

    # Pages of section 3

    def function(self, record):
        name, links = record["name"], []
        content, threads, python = described(record, lambda brief: subject(record, brief))
        declarations = [declare.prototype(record["definition"] + record["args"] + ";",
                                          record["names"])]
        made = object_of(record)
        struct = self.options.get(made + "_options") if made != name else None
        new = self.calls.get(made + "_new") if struct else None
        if new:
            links.append(new["name"])
            keyword = declare.constructor(record, len(struct["fields"]) > 1)
            declarations.append(declare.prototype(keyword, record["names"]))
            content += described(new, lambda brief: bold(new["name"]) + "() is " + brief)[0]
        if struct:
            links.append(struct["name"])
        self.entry(record, [
            *declare.synopsis([record["header"]], *declarations),
            ".SH DESCRIPTION", *roff.blocks(content, first=True), *self.parameters(record),
            *(self.options_part(record, struct) if struct else []),
            *self.results.returned(record), *self.tail(threads, python)], links)

    def macro(self, record):
        name = record["name"]
        shape = declare.MACROS.get(name, "")
        if any(parameter not in shape for parameter in [name, *record["names"]]):
            raise SystemExit("man: put the form of %s into MACROS in docs/man/declare.py" % name)
        content, threads, python = described(record, lambda brief: subject(record, brief))
        self.entry(record, [
            *declare.synopsis([record["header"]], declare.prototype(shape, record["names"])),
            ".SH DESCRIPTION", *roff.blocks(content, first=True), *self.parameters(record),
            *self.results.returned(record), *self.tail(threads, python)])

    def type_page(self, record, declaration, body):
        content, threads, python = described(record, lambda brief: brief)
        self.entry(record, [
            *declare.synopsis([record["header"]], declaration),
            ".SH DESCRIPTION", *roff.blocks(content, first=True), *body,
            *self.tail(threads, python)])

    def struct(self, record):
        self.type_page(record, declare.struct(record),
                       [".SH MEMBERS", *self.members(record["fields"])])

    def callback(self, record):
        self.type_page(record, declare.callback(record),
                       [*self.parameters(record), *self.results.returned(record)])

    def enum(self, record):
        self.type_page(record, declare.enum(record), self.values(record))

    # Pages of section 7

    def group(self, record):
        name, members = record["name"], record["members"]
        kinds = (self.ref.functions, self.ref.macros, self.ref.types)
        headers = sorted({k[m]["header"] for k in kinds for m in members if m in k})
        content, _, python = described(record, lambda brief: brief)
        lines = [*declare.synopsis(headers), ".SH DESCRIPTION", *roff.blocks(content, first=True)]
        lines += self.code_list() if "mp_error" in members else []
        inside = {m for s in record["sections"] for m in s["members"]}
        lines += self.contents([m for m in members if m not in inside], ".SH ", str.upper)
        for section in record["sections"]:
            content, _, also = described({"brief": "", "details": section["details"]}, str)
            lines += [".SH " + section["title"].upper(), *roff.blocks(content, first=True)]
            lines += sentences("Python: " + also) if also else []
            lines += self.contents(section["members"], ".SS ", str)
        lines += self.tail("", python)
        pages = set(re.findall(r"\\fB(mproc_\w+)\\fR\(7\)", "\n".join(lines)))
        pages |= {"mproc", "mproc_conventions", "mproc_errors"}
        opaque = "mp_" + name in self.ref.types and "mp_" + name not in {**self.structs,
                                                                        **self.callbacks}
        self.write(7, "mproc_" + name, summary(record["brief"], self.calls),
                   lines + self.see_also({(7, p) for p in pages - {"mproc_" + name}}),
                   ["mp_" + name] if opaque else [])

    def code_list(self):
        """The codes, from the table of their meanings."""
        enum = self.ref.enums["mp_error"]
        numbers = {v["name"]: code(v["value"].strip("= ()")) for v in enum["values"]}
        lines = [".SH CODES"]
        for names, python, meaning in dict(enum["details"])["table"][1:]:
            tags = ["%s (%s)" % (n, numbers[roff.plain(n)]) for n in names.split(", ")]
            python = "" if python in ("-", "\\-") else " Python: %s." % python
            lines += tagged(", ".join(tags), meaning + "." + python)
        return lines

    def contents(self, members, heading, case):
        """What a group has: constants, types, functions, each with a line."""
        types = {**self.structs, **self.callbacks, **self.enums}
        types = {n: t for n, t in types.items() if n not in self.options}
        calls = {n: c for n, c in self.calls.items() if not n.endswith("_new")}
        lines = []
        for title, kind in (("Constants", self.ref.constants), ("Types", types),
                            ("Functions", calls)):
            records = [kind[m] for m in members if m in kind]
            lines += [heading + case(title)] if records else []
            for record in records:
                tag, text = bold(record["name"]) + "(3)", without_python(record["brief"])
                if title == "Constants":
                    tag, text = bold(record["name"]), record["text"]
                new = record["name"].replace("_create", "_new")
                tag += ", " + bold(new) + "(3)" if new != record["name"] else ""
                lines += tagged(tag, text)
        return lines

    def overview(self, source, program):
        """The page that stands by itself: its text is written by hand, its lists are not."""
        if sorted(ORDER) != sorted(self.ref.groups):
            raise SystemExit("man: ORDER in docs/man/man.py has other groups than the headers")
        objects = [line for name in ORDER for line in
                   tagged(bold("mproc_" + name) + "(7)",
                          without_python(self.ref.groups[name]["brief"]))]
        filled = {"@OBJECTS@": objects,
                  "@PROGRAM@": roff.listing(program.split("*/\n", 1)[-1])[1:],
                  "@PAGES@": self.see_also({(7, "mproc_" + n) for n in ORDER})[1:]}
        text = source.replace("@VERSION@", self.version).replace("@DATE@", self.date)
        lines = [more for line in text.rstrip("\n").split("\n")
                 for more in filled.get(line, [line])]
        (self.output / "man7" / "mproc.7").write_text("\n".join(lines) + "\n", encoding="ascii")
        (self.output / "man7" / "libmproc.7").write_text(".so man7/mproc.7\n")


def main():
    include, awk, overview, program, version, date, output = sys.argv[1:]
    output = pathlib.Path(output)
    work = output / "reference"
    for folder in (output / "man3", output / "man7", work):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    manual = Manual(Reference(pathlib.Path(include), work, awk), version, date, output)
    manual.all_pages()
    manual.overview(pathlib.Path(overview).read_text(encoding="ascii"),
                    pathlib.Path(program).read_text(encoding="utf-8"))
    shutil.rmtree(work)


if __name__ == "__main__":
    main()
