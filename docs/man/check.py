#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the manual pages.

    check.py MAN INCLUDE LEDGER

That there is one for each function of LEDGER and each macro and structure of INCLUDE, with what
belongs into it; that mandoc and groff have nothing to say; that what a page refers to exists; that
man, whatis and apropos find them. At first each check is shown pages that it must not let pass.
"""

import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOOLS = {"mandoc": "mandoc", "makewhatis": "mandoc", "groff": "groff", "man": "man-db",
         "mandb": "man-db", "whatis": "man-db", "apropos": "man-db"}
# What of the comments' own notation must not be left over.
STRAY = r"@\w|#mp_|#MP_|&[a-z]+;|\*\*[A-Z]|``|\\f|\(3\)\(|[Ss]ee the chapter"
STATEMENTS = ("MP_WITH", "MP_WITH_STATUS", "MP_ERROR_LIST")
CONSTANT = ("MP_ESYS", "MP_ERROR_LIST")
SECTIONS = ["NAME", "LIBRARY", "SYNOPSIS", "DESCRIPTION", "SEE ALSO"]


def run(*command, **more):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          encoding="utf-8", errors="replace", **more)


class Pages:
    """The pages below a directory, and what they look like at 80 columns."""

    def __init__(self, folder):
        self.folder = folder
        files = sorted([*folder.glob("man3/*.3"), *folder.glob("man7/*.7")])
        texts = {file: file.read_text(encoding="ascii") for file in files}
        self.links = {f: t.split()[1] for f, t in texts.items() if t.startswith(".so ")}
        self.real = [f for f in files if f not in self.links]
        self.text = {f: texts[f] for f in self.real}
        self.names = {(f.stem, f.suffix[1:]) for f in files}

    def target(self, name, section="3"):
        """The page that `man SECTION NAME` shows."""
        file = self.folder / ("man%s" % section) / ("%s.%s" % (name, section))
        return self.folder / self.links[file] if file in self.links else file


def groff(pages, *options):
    """All pages in one run, which is quicker by far."""
    return run("groff", "-t", "-man", "-Tutf8", *options, *map(str, pages.real)).stdout.splitlines()


def by_mandoc(pages):
    """mandoc says nothing but that lines of the source are long."""
    out = run("mandoc", "-Tlint", "-W", "style", *map(str, pages.real), cwd=pages.folder).stdout
    return [line for line in out.splitlines() if "line longer than 80" not in line]


def by_groff(pages):
    return groff(pages, "-ww", "-z", "-rLL=76n")


def by_links(pages):
    found = ["%s: leads to %s, which is not there" % (f.name, t) for f, t in pages.links.items()
             if not (pages.folder / t).is_file()]
    for file, text in pages.text.items():
        for name, section in re.findall(r"\\fB(mp(?:roc)?_\w+|MP_\w+)\\fR\((\d)\)", text) + \
                re.findall(r"^\.BR (mp(?:roc)?_\w+|mproc|MP_\w+) \((\d)\)", text, re.M):
            if (name, section) not in pages.names:
                found.append("%s: there is no %s(%s), to which it refers" %
                             (file.name, name, section))
    return found


def by_text(pages):
    """Nothing of the comments' own notation is left over, and nothing is cut off."""
    found, page = [], "?"
    for line in groff(pages, "-P-cbou", "-rLL=78n"):
        page = (re.findall(r"^(\w+\(\d\)) .* \1$", line) or [page])[0]
        left = re.search(STRAY, line)
        if left:
            found.append("%s: has a stray %s: %s" % (page, left.group(0), line))
        if len(line) > 80:
            found.append("%s: a line of %d columns: %s" % (page, len(line), line))
    return found


def by_parts(pages):
    """Each page has its sections, and says what it returns if that is something."""
    found = []
    for file, text in pages.text.items():
        sections = re.findall(r"^\.SH (.*)$", text, re.M)
        missing = [s for s in SECTIONS if s not in sections]
        name = re.search(r"^\.SH NAME\n(.*) \\- .", text, re.M)
        if not name or file.stem not in name.group(1).split(", "):
            missing.append("its name in NAME")
        returns = re.search(r"^\.BI? \"(?!void {0})[^\"\n]*\b{0}\(".format(file.stem), text, re.M)
        if returns and file.stem not in STATEMENTS and "RETURN VALUE" not in sections:
            missing.append("RETURN VALUE")
        called = re.search(r"^\.BI? \"[^\"\n]*\b%s\(" % file.stem, text, re.M)
        if called and file.stem not in CONSTANT and "THREADS, SIGNALS AND FORK" not in sections:
            missing.append("what it says of threads")
        found += ["%s: has no %s" % (file.name, m) for m in missing]
    return found


def by_ledger(pages, ledger, headers):
    """Each function, macro with arguments, structure and member of options has its place."""
    found = ["%s: has no page" % n for n in ledger if not pages.target(n).is_file()]
    text = "\n".join(headers)
    macros = re.findall(r"^ *#define ((?:mp|MP)_[A-Za-z_]+)\(", text, re.M)
    macros = [m for m in macros if not m.startswith("MP_I_")]
    structs = re.findall(r"^typedef struct (mp_(?!i_)\w+) \{", text, re.M)
    found += ["%s: has no page" % n for n in {*macros, *structs} if not pages.target(n).is_file()]
    bodies = re.findall(r"^typedef struct (mp_\w+_options) \{(.*?)\n\} ", text, re.M | re.S)
    for struct, body in bodies:
        file = pages.target(struct)
        shown = file.read_text() if file.is_file() else ""
        body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
        for field in re.findall(r"(\w+)(?:\)\([^;]*\))?;", body):
            if field != "size" and "\\fB.%s\\fR" % field not in shown:
                found.append("%s: the page does not tell of .%s" % (struct, field))
    return found


def by_search(pages, scratch):
    """man, whatis and apropos of man-db, and those of mandoc, find what is there."""
    found, names = [], sorted(n for n, _ in pages.names)
    copy = scratch / "man"
    scratch.mkdir(exist_ok=True)
    shutil.copytree(pages.folder, copy, ignore=shutil.ignore_patterns(".*"))
    said = run("mandb", "--user-db", "--quiet", "--create", str(copy)).stdout
    found += ["mandb: " + line for line in said.splitlines()]
    out = run("whatis", "-M", str(copy), "-l", *names).stdout
    found += ["whatis: " + line for line in out.splitlines() if "nothing appropriate" in line]
    listed = {line.split(" ", 1)[0] for line in out.splitlines()}
    found += ["whatis: does not know " + n for n in names if n not in listed]
    for name in ("mp_queue_put", "mp_queue_new", "MP_MAP", "mproc"):
        if not run("man", "-M", str(copy), "-w", name).stdout.strip().endswith((".3", ".7")):
            found.append("man: does not find " + name)
    if "mp_queue_put" not in run("apropos", "-M", str(copy), "message").stdout:
        found.append("apropos: does not find mp_queue_put by \"message\"")
    for index in copy.glob("index.*"):
        index.unlink()
    out = run("makewhatis", "-p", str(copy)).stdout
    found += ["makewhatis: " + line for line in out.splitlines()]
    return found


BROKEN = {
    by_mandoc: ("x", ".SH NAME\nx \\- y\n.SH NAMES\n.XX unknown macro\n"),
    by_groff: ("x", ".TH X 3 \"\" \"\" \"\"\n.SH NAME\nx \\- y \\*[undefined]\n"),
    by_links: ("x", ".TH X 3\nsee \\fBmp_nothing\\fR(3)\n"),
    by_text: ("x", ".TH X 3\nsee #MP_EFULL and @ref queue\n"),
    by_parts: ("x", ".SH NAME\ny \\- z\n.SH SYNOPSIS\n.B \"int x(\" void \");\"\n"),
}


def must_fail(scratch):
    """The checks are checked: each must find fault with a page that is wrong."""
    asleep = []
    folder = scratch / "broken"
    (folder / "man3").mkdir(parents=True)
    for check, (name, text) in BROKEN.items():
        (folder / "man3" / (name + ".3")).write_text(text)
        if not check(Pages(folder)):
            asleep.append("%s() let pass what is wrong" % check.__name__)
    if not by_ledger(Pages(folder), ["mp_absent"], []):
        asleep.append("by_ledger() let pass what is wrong")
    if not by_search(Pages(folder), scratch / "search"):
        asleep.append("by_search() let pass what is wrong")
    return asleep


def main():
    missing = sorted({p for tool, p in TOOLS.items() if shutil.which(tool) is None and
                      not pathlib.Path("/usr/sbin", tool).exists()})
    if missing:
        sys.exit("make check-man: needs %s: make deps-docs" % ", ".join(missing))
    folder, include, ledger = map(pathlib.Path, sys.argv[1:])
    pages = Pages(folder.resolve())
    names = re.findall(r"^\s*(mp_\w+);", ledger.read_text(), re.M)
    headers = [f.read_text(encoding="utf-8") for f in sorted(include.rglob("*.h"))]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        faults = must_fail(scratch)
        for check in BROKEN:
            faults += check(pages)
        faults += by_ledger(pages, names, headers) + by_search(pages, scratch)
    if len(names) < 100 or len(pages.real) < len(names):
        faults.append("there are only %d functions and %d pages" % (len(names), len(pages.real)))
    for fault in faults:
        print("check-man: " + fault)
    print("check-man: %d functions, %d pages and %d links to them, %d faults" %
          (len(names), len(pages.real), len(pages.links), len(faults)))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
