# SPDX-License-Identifier: MIT
"""names.py TAGFILE MAP INCLUDE: every public name is in the documentation.

Functions are those that the library exports (MAP); macros, types and constants are read from the
headers below INCLUDE, without Doxygen's help. The tag file names what Doxygen has documented.
"""
import pathlib
import re
import sys
import xml.etree.ElementTree as ET


def functions_of(text):
    return set(re.findall(r"^\s+(mp_\w+);", re.sub(r"/\*.*?\*/", "", text, flags=re.S), re.M))


def names_of(header):
    """The macros, types and constants of a header's text, but those for the implementation."""
    code = re.sub(r"/\*.*?\*/|//[^\n]*", " ", header, flags=re.S)
    macros = set(re.findall(r"^\s*#\s*define\s+((?:mp|MP)_\w+)", code, re.M))
    # The list of the errors is a macro; each X(NAME, ...) in it is a constant.
    constants = set(re.findall(r"\bX\(\s*(MP_\w+)", code))
    code = re.sub(r"^\s*#(?:[^\n\\]|\\.|\\\n)*", "", code, flags=re.M)
    types = set(re.findall(r"\b(?:struct|enum|union)\s+(mp_\w+)\s*\{", code))
    types |= set(re.findall(r"\btypedef\b[^;{]*?\b(mp_\w+)\s*;", code))
    types |= set(re.findall(r"\}\s*(mp_\w+)\s*;", code))
    types |= set(re.findall(r"\btypedef\b[^;{]*?\(\s*\*\s*(mp_\w+)\s*\)\s*\(", code))
    for body in re.findall(r"\benum\s*\w*\s*\{([^}]*)\}", code):
        constants |= set(re.findall(r"(?:^|,)\s*(MP_\w+)", body))
    hidden = re.compile(r"MP_I_|mp_i_|MP_(API|BEGIN_DECLS|END_DECLS|ERROR_LIST|ERRORS)$")
    macros, types, constants = ({n for n in some if not hidden.match(n)} for some in (macros, types, constants))
    return macros, types, constants


def documented_in(tagfile):
    names = set()
    for compound in ET.parse(tagfile).getroot():
        if compound.get("kind") == "struct":
            names.add(compound.findtext("name"))
        for member in compound.iter("member"):
            names.add(member.findtext("name"))
            names.update(value.text for value in member.iter("enumvalue"))
    return names


def check(tagfile, map_text, headers):
    """What is there by kind, and what of it is not documented."""
    kinds = {"functions": functions_of(map_text), "macros": set(), "types": set(), "constants": set()}
    for header in headers:
        for kind, found in zip(("macros", "types", "constants"), names_of(header)):
            kinds[kind] |= found
    documented = documented_in(tagfile)
    missing = sorted(name for names in kinds.values() for name in names if name not in documented)
    return kinds, missing


def main(tagfile, map_file, include):
    map_text = pathlib.Path(map_file).read_text()
    headers = [path.read_text() for path in sorted(pathlib.Path(include).rglob("*.h"))]
    kinds, missing = check(tagfile, map_text, headers)
    print("documented:", ", ".join(f"{len(names)} {kind}" for kind, names in kinds.items()))
    for name in missing:
        print(f"{name} is not documented")
    # The check itself: it sees a name of each kind that nobody has documented.
    strange = "#define MP_STRANGE 1\ntypedef struct mp_strange mp_strange;\nenum { MP_ODD = 1 };\n"
    _, unknown = check(tagfile, map_text + "\n        mp_stranger;\n", headers + [strange])
    blind = {"MP_STRANGE", "MP_ODD", "mp_strange", "mp_stranger"} - set(unknown)
    if blind or not all(kinds.values()):
        sys.exit(f"names.py does not see what is missing: {sorted(blind)}")
    if missing:
        sys.exit(1)


if __name__ == "__main__":
    main(*sys.argv[1:])
