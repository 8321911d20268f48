# SPDX-License-Identifier: MIT
"""from_python.py TEXT: the text has a row for every public name of Python's modules.

The names are those of this Python: of each module, and of its classes. A name counts if it stands in
the first column of a table, as code; the second column says when, in one of four words.
"""
import importlib
import inspect
import pathlib
import re
import sys

MODULES = ["multiprocessing", *("multiprocessing." + name for name in (
    "connection", "context", "heap", "managers", "pool", "process", "queues", "reduction", "shared_memory",
    "sharedctypes", "synchronize", "util")),
    "concurrent.futures", "concurrent.futures.process", "concurrent.futures.thread"]
# What has no meaning for anybody but the module itself.
INTERNAL = {"EXTRA_QUEUED_CALLS"}


def names_of(module):
    """Its names, and those of its own classes as (class, name)."""
    own = [name for name in vars(module) if not name.startswith("_")
           and getattr(vars(module)[name], "__module__", "").startswith(("multiprocessing", "concurrent"))]
    for name in getattr(module, "__all__", own):
        yield name
        what = getattr(module, name)
        if inspect.isclass(what) and what.__module__ == module.__name__:
            yield from (member for member in vars(what) if not member.startswith("_"))


def check(text, modules):
    """How many names there are, and what is wrong with the text."""
    words, wrong = set(), []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if len(cells) == 3 and not re.match(r"-+$|Python$", cells[0]):
            words.update(re.findall(r"\w+", " ".join(re.findall(r"`([^`]*)`", cells[0]))))
            if not re.match(r"(now|later|no|differs)\b", cells[1]):
                wrong.append(f"{cells[0]}: when is \"{cells[1]}\"?")
    names = {name for module in modules for name in names_of(module)} - INTERNAL
    return len(names), wrong + [f"{name} has no row" for name in sorted(names - words)]


def main(path):
    text = pathlib.Path(path).read_text(encoding="utf-8")
    modules = [importlib.import_module(name) for name in MODULES]
    count, wrong = check(text, modules)
    # The check itself: a row less, and a word more, are seen.
    less = "\n".join(line for line in text.splitlines() if "`Barrier(" not in line) + "\n| `x` | soon | y |\n"
    seen = check(less, modules)[1]
    if not any("soon" in what for what in seen) or "Barrier has no row" not in seen:
        sys.exit("from_python.py does not see what is missing")
    for what in wrong:
        print(what)
    print(f"{count} names of Python {sys.version.split()[0]}")
    if wrong:
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
