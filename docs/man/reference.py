# SPDX-License-Identifier: MIT
"""What the comments of the headers say: Doxygen's XML of a run of our own, as plain records."""

import pathlib
import re
import subprocess
import xml.etree.ElementTree as ET

from phrases import joined
from roff import bold, code, italic, prose

CONFIG = """
PROJECT_NAME           = libmproc
INPUT                  = {work}/include
STRIP_FROM_PATH        = {work}/include
FILE_PATTERNS          = *.h
RECURSIVE              = YES
OUTPUT_DIRECTORY       = {work}
FILTER_PATTERNS        = "*/error.h=awk -f {filter}"
OPTIMIZE_OUTPUT_FOR_C  = YES
JAVADOC_AUTOBRIEF      = YES
SORT_MEMBER_DOCS       = NO
MACRO_EXPANSION        = YES
EXPAND_ONLY_PREDEF     = YES
SEARCH_INCLUDES        = NO
PREDEFINED             = MP_API= MP_BEGIN_DECLS= MP_END_DECLS= "__attribute__(x)="
GENERATE_HTML          = NO
GENERATE_LATEX         = NO
GENERATE_XML           = YES
XML_PROGRAMLISTING     = NO
QUIET                  = YES
WARN_AS_ERROR          = FAIL_ON_WARNINGS
"""

# What stands out in running text: functions, constants, names of the library, signals.
NAMES = (r"\b[a-z_][a-z0-9_]*\(\)|\bMP(?:ROC)?_[A-Z_]+\b(?:\([A-Z]+\))?(?:\(\))?|"
         r"\bmp_\w+\b(?:\(\))?|\bSIG[A-Z]{3,}\b")
SYSTEM = {"fork": 2, "exit": 3, "malloc": 3, "free": 3, "poll": 2, "wait": 2, "execve": 2,
          "close": 2, "longjmp": 3, "closefrom": 3, "main": 0, "shm_unlink": 3}


def copy_headers(source, work):
    """Chapters and examples are in the HTML alone: a sentence that leads there alone goes, and of
    other links into it the text stays."""
    groups = set()
    headers = sorted(source.rglob("*.h"))
    for header in headers:
        groups |= set(re.findall(r"@defgroup (\w+)", header.read_text(encoding="utf-8")))
    for header in headers:
        text = header.read_text(encoding="utf-8")
        text = re.sub(r"\n \*  ?See [^.]*@ref (?:guide|example)_[^.]*\.(?=\n)", "", text)
        text = re.sub(r"[;,]\s(?:\*\s*)?see\s(?: \*\s*)?@ref (?:guide|example|insights)_\w+\s(?:"
                      r" \*\s*)?\"[^\"]*\"", "", text)
        text = re.sub(r"@ref (\w+)\s(?: \*\s*)?\"([^\"]*)\"", lambda m: m.group(0)
                      if m.group(1) in groups else m.group(2), text)
        target = work / "include" / header.relative_to(source)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


class Reference:
    """All that is public: .functions, .macros, .types, .constants, .enums, .groups, by name."""

    def __init__(self, source, work, awk):
        copy_headers(source, work)
        config = CONFIG.format(work=work, filter=awk)
        subprocess.run(["doxygen", "-"], input=config.encode(), check=True)
        self.functions, self.macros, self.types, self.enums = {}, {}, {}, {}
        self.constants, self.groups, self.pages = {}, {}, {}
        roots = [ET.parse(f).getroot()[0] for f in sorted((work / "xml").glob("group__*.xml"))]
        structs = {c.get("id"): c for c in (ET.parse(f).getroot()[0] for f in
                                            sorted((work / "xml").glob("struct*.xml")))}
        self.titles = {g.get("id"): (g.findtext("title"), g.findtext("compoundname"))
                       for g in roots}
        self.known = {m.findtext("name") for g in roots for m in g.iter("memberdef")
                      if m.get("kind") == "function" or m.find("param") is not None}
        self.paged = {n.findtext("name") for g in roots for n in g.iter("memberdef")
                      if n.get("kind") in ("enum", "typedef")}
        self.paged -= {"mp_error"} | {n for n in self.paged if n.endswith("_options")}
        self.paged -= {n.findtext("name") for g in roots for n in g.iter("memberdef")
                       if n.get("kind") == "typedef" and "(*" not in n.findtext("definition")
                       and not self.has_members(n, structs)}
        for group in roots:
            self.read_group(group, structs)

    def read_group(self, group, structs):
        name = group.findtext("compoundname")
        record = {"name": name, "title": group.findtext("title"), "members": [], "sections": [],
                  "brief": self.inline_of(group.find("briefdescription")),
                  "details": self.blocks_of(group.find("detaileddescription"))}
        self.groups[name] = record
        for section in group.findall("sectiondef"):
            members = [m.findtext("name") for m in section.findall("memberdef")]
            if section.get("kind") == "user-defined":
                record["sections"].append({"title": section.findtext("header"), "members": members,
                                           "details": self.blocks_of(section.find("description"))})
            record["members"] += members
            for member in section.findall("memberdef"):
                self.read_member(member, name, structs)

    def read_member(self, member, group, structs):
        name, kind = member.findtext("name"), member.get("kind")
        record = {"name": name, "group": group, "kind": kind,
                  "header": member.find("location").get("file"),
                  "line": int(member.find("location").get("line")),
                  "type": self.flat(member.find("type")),
                  "args": member.findtext("argsstring") or "",
                  "definition": member.findtext("definition") or "",
                  "names": [self.flat(n) for p in member.findall("param")
                            for n in [*p.findall("declname"), *p.findall("defname")]],
                  "initializer": self.flat(member.find("initializer")), **self.texts(member)}
        if kind == "function":
            self.functions[name] = record
        elif kind == "define":
            (self.macros if record["names"] else self.constants)[name] = record
        elif kind == "enum":
            record["values"] = [{"name": v.findtext("name"), "value": v.findtext("initializer"),
                                 **self.texts(v)} for v in member.findall("enumvalue")]
            self.enums[name] = record
        elif kind == "typedef":
            struct = structs.get(next((r.get("refid") for r in member.iter("ref")
                                       if r.get("refid") in structs), None))
            if struct is not None and record["type"].startswith("struct"):
                record["fields"] = self.fields(struct)
                record.update(self.texts(struct))
            self.types[name] = record

    def fields(self, struct):
        fields = []
        for member in struct.iter("memberdef"):
            kind, args = self.flat(member.find("type")), member.findtext("argsstring") or ""
            if member.get("kind") == "variable":
                fields.append({"name": member.findtext("name"), "type": kind, "args": args,
                               **self.texts(member)})
        return fields

    def texts(self, node):
        """Brief and details of something, its parameters and what it returns."""
        details = node.find("detaileddescription")
        parameters = [{"names": [n.text for n in item.iter("parametername")],
                       "out": [n.get("direction") for n in item.iter("parametername")],
                       "text": self.inline_of(item.find("parameterdescription"))}
                      for item in details.iter("parameteritem")]
        returns = [self.inline_of(section) for section in details.iter("simplesect")
                   if section.get("kind") == "return"]
        brief, content = self.inline_of(node.find("briefdescription")), self.blocks_of(details)
        return {"brief": brief, "details": content, "parameters": parameters,
                "text": joined(([("text", brief)] if brief else []) + content),
                "returns": " ".join(returns)}

    @staticmethod
    def has_members(typedef, structs):
        """Whether it is a structure with more than bytes of its own."""
        struct = structs.get(next((r.get("refid") for r in typedef.iter("ref")), None))
        names = [m.findtext("name") for m in struct.iter("memberdef")] if struct is not None else []
        return names not in ([], ["opaque"])

    @staticmethod
    def flat(node):
        return "".join(node.itertext()).strip() if node is not None else ""

    def inline_of(self, node):
        return " ".join(v for k, v in self.blocks_of(node) if k == "text")

    def blocks_of(self, node):
        """The paragraphs, lists, listings and tables of a description: pairs of kind and value."""
        found = []
        for para in node.findall("para"):
            run = [self.words(para.text)]
            for child in para:
                block = self.block(child)
                if block is None:
                    run.append(self.inline(child, "".join(run)))
                else:
                    found += self.paragraph(run) + block
                    run = []
                run.append(self.words(child.tail))
            found += self.paragraph(run)
        return found

    def block(self, node):
        if node.tag in ("parameterlist", "simplesect"):
            return []
        if node.tag in ("verbatim", "programlisting", "preformatted"):
            return [("code", "".join(node.itertext()))]
        if node.tag in ("itemizedlist", "orderedlist"):
            return [("list", [self.blocks_of(item) for item in node.findall("listitem")])]
        if node.tag == "table":
            return [("table", [[self.inline_of(entry) for entry in row.findall("entry")]
                               for row in node.findall("row")])]
        return None

    @staticmethod
    def paragraph(run):
        text = re.sub(r"\s+", " ", "".join(run)).strip()
        text = re.sub(r"(\\fB(?:MP_ESYS))\\fR(\(\w+\))", r"\1\2\\fR", text)
        return [("text", text)] if text else []

    def words(self, text):
        """Running text; names of functions, constants and signals in it stand out."""
        def name(match):
            word = match.group(0)
            if word.endswith("()"):
                return self.call(word[:-2])
            return bold(word) if word not in ("MPROC",) else word
        parts, at = [], 0
        for match in re.finditer(NAMES, text or ""):
            parts += [prose(text[at:match.start()]), name(match)]
            at = match.end()
        return "".join(parts) + prose((text or "")[at:])

    def call(self, name):
        if name in self.known:
            return bold(name) + "(3)"
        return bold(name) + ("(%d)" % SYSTEM[name] if SYSTEM.get(name) else "()")

    def inline(self, node, before):
        text = "".join(node.itertext())
        if node.tag == "ref" and node.get("refid") in self.titles:
            title, name = self.titles[node.get("refid")]
            page = bold("mproc_" + name) + "(7)"
            alone = text == title or re.search(r"\b[Ss]ee $", before)
            return page if alone else prose(text) + " (see " + page + ")"
        if node.tag == "ref":
            if text in self.paged:
                return bold(text) + "(3)"
            return self.call(text[:-2]) if text.endswith("()") else bold(code(text))
        if node.tag == "computeroutput":
            return self.call(text[:-2]) if re.fullmatch(r"\w+\(\)", text) else bold(code(text))
        if node.tag == "bold":
            return bold("".join(self.spread(node)).replace("\\fB", "").replace("\\fR", ""))
        if node.tag == "emphasis":
            return italic("".join(self.spread(node)))
        marks = {"ndash": "\\(en", "mdash": "\\(em", "lsquo": "'", "rsquo": "'", "sp": " ",
                 "nonbreakablespace": "\\ ", "zwj": "", "linebreak": " ", "anchor": ""}
        if node.tag in marks:
            return marks[node.tag]
        if node.tag == "ulink":
            return prose(text)
        raise SystemExit("man: do not know what <%s> is" % node.tag)

    def spread(self, node):
        yield self.words(node.text)
        for child in node:
            yield self.inline(child, "")
            yield self.words(child.tail)
