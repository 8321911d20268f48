# SPDX-License-Identifier: MIT
"""How the sentences of a comment become those of a page."""

import re

import roff
from roff import bold

BEGIN = r"(?:^|(?<=[.?!)] ))"
PYTHON = BEGIN + r"Python(: | has | had )(.*)$"
THREADS = BEGIN + r"((?:Not thread|Thread|Repeatable\. Thread)-safe\b.*)$"
LONG = 76  # what summary() cuts at the next stop


def object_of(record):
    """mp_queue of mp_queue_create and mp_queue_new."""
    return re.sub(r"_(create|new|configure)$", "", record["name"])


def lowered(text):
    """The beginning of a sentence, to be put behind a few words."""
    return text if re.match(r"SIG|\\f|[A-Z]{2}", text) else text[:1].lower() + text[1:]


def raised(text, names):
    """A sentence of its own; unless it begins with one of the names."""
    text = re.sub(r"^or (?=an? )", "It may also be ", text)
    first = re.match(r"\w*", text).group(0)
    if first not in names and "_" not in first:
        text = text[:1].upper() + text[1:]
    return text if text.endswith((".", "!")) else text + "."


def without_python(text):
    return re.sub(PYTHON, "", text).strip()


def python_of(text):
    """What stands behind "Python:", or the sentence that begins with "Python has"."""
    found = re.search(PYTHON, text)
    if not found or found.group(2).strip(". ") in ("\\-", "-"):
        return ""
    rest = re.sub(r"\\fB(\w+)\\fR\([23]\)", r"\1()", found.group(2).strip())
    return rest if found.group(1) == ": " else "Python" + found.group(1) + rest


def summary(brief, calls):
    """One line for whatis(1)."""
    text = roff.plain(without_python(brief)).rstrip(".")
    text = re.sub(r"; see .*", "", text)
    text = re.sub(r"\b(\w+)\([37]\)", lambda m: m.group(1) + "()" * (m.group(1) in calls), text)
    for stop in (". ", "; ", ": ", " - ", ", "):
        if len(text) > LONG and stop in text:
            text = text[:text.index(stop)]
    return roff.prose(lowered(text))


def subject(record, brief):
    """The first sentence, made to begin with the name: "mp_queue_put() puts one message ..."."""
    first = brief.split(" ", 1)[0].rstrip(",.:;")
    me = bold(record["name"]) + "()"
    if re.match(r"(Whether|How|Who|Where|Why|Which)$", first):
        return "%s tells %s" % (me, lowered(brief))
    if first in ("The", "One", "A", "An") and record["returns"]:
        return "%s returns %s" % (me, lowered(brief))
    if brief.startswith("\\fB") or first in ("The", "One", "A", "An"):
        return "%s is %s" % (me, lowered(brief))
    return "%s %s" % (me, lowered(brief))


def joined(content):
    """The first sentence and the paragraph behind it, as one."""
    if [kind for kind, _ in content[:2]] == ["text", "text"]:
        return [("text", content[0][1] + " " + content[1][1]), *content[2:]]
    return content


def described(record, opening):
    """What is told of something: the text, what it says of threads, and what of Python."""
    brief = without_python(record["brief"])
    content, threads, python = [], "", python_of(record["brief"])
    for kind, value in record["details"]:
        if kind == "text":
            python = python_of(value) or python
            value = without_python(value)
            found = re.search(THREADS, value)
            if found:
                threads = found.group(1)
                value = value[:found.start(1)].strip()
            if not value:
                continue
        content.append((kind, value))
    return joined(([("text", opening(brief))] if brief else []) + content), threads, python
