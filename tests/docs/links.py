# SPDX-License-Identifier: MIT
"""links.py DIR: every link of the pages in DIR leads somewhere, without a network.

Files and anchors must be there, names unique in their page, pictures described, addresses elsewhere
well formed (they are counted, not called). Each page must be reached from the first, and stand in
the menu, but for those of single structures and headers.
"""
import html.parser
import pathlib
import re
import sys
import tempfile
import urllib.parse


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.names, self.links, self.wrong, self.in_menu = set(), [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        self.in_menu = self.in_menu or values.get("aria-current") == "page"
        identity = values.get("id")
        if identity in self.names:
            self.wrong.append(f"two elements are called {identity}")
        self.names |= {identity} if identity else set()
        if tag == "a" and values.get("name"):
            self.names.add(values["name"])
        for key in ("href", "src", "data", "xlink:href"):
            if values.get(key) is not None:
                self.links.append(values[key])
        if tag == "img" and not (values.get("alt") or "").strip():
            self.wrong.append(f"nothing describes the picture {values.get('src')}")


def check(directory):
    """How many pages and links there are, the addresses elsewhere, and what is wrong."""
    root = pathlib.Path(directory)
    pages = {path.name: Page(path.read_text(encoding="utf-8")) for path in sorted(root.glob("*.html"))}
    wrong, elsewhere, count, reached = [], set(), 0, {name: set() for name in pages}
    found = re.findall(r'^\["(?:[^"\\]|\\.)*","([^"]*)"', (root / "search-data.js").read_text(), re.M)
    places = [(name, link) for name, page in pages.items() for link in page.links]
    for name, link in places + [("search-data.js", link) for link in found]:
        count += 1
        parts = urllib.parse.urlsplit(link)
        if parts.scheme or parts.netloc:
            elsewhere.add(link)
            if parts.scheme == "chrome" or re.fullmatch(r"https?://[\w.-]+(:\d+)?(/[\w./%#?=&+~@:-]*)?", link):
                continue
            wrong.append(f"{name}: not an address: {link}")
            continue
        target = urllib.parse.unquote(parts.path) or name
        if target not in pages:
            if not (root / target).is_file():
                wrong.append(f"{name}: there is no {target}")
            continue
        reached.get(name, set()).add(target)
        anchor = urllib.parse.unquote(parts.fragment)
        if anchor and anchor not in pages[target].names:
            wrong.append(f"{name}: {target} has no #{anchor}")
    for name, page in pages.items():
        wrong += [f"{name}: {what}" for what in page.wrong]
        if not page.in_menu and not re.match(r"struct|.*_8h\.html|trace-view", name):
            wrong.append(f"{name} is not in the menu")
    seen, ways = set(), ["index.html"]
    while ways:
        name = ways.pop()
        if name in pages and name not in seen:
            seen.add(name)
            ways += reached[name]
    wrong += [f"nothing leads to {name}" for name in sorted(set(pages) - seen)]
    return len(pages), count, elsewhere, wrong


def self_test():
    """Each kind of fault is seen."""
    with tempfile.TemporaryDirectory() as directory:
        root = pathlib.Path(directory)
        (root / "index.html").write_text(
            '<p id="a"></p><p id="a"></p><a href="no.html">1</a><a href="#b">2</a>'
            '<a href="http://">3</a><img src="index.html">')
        (root / "alone.html").write_text("")
        (root / "search-data.js").write_text('["x","gone.html","","",""],')
        faults = " / ".join(check(directory)[3])
    for fault in ("two elements", "no no.html", "no #b", "not an address", "describes", "leads to alone", "gone.html",
                  "alone.html is not in"):
        if fault not in faults:
            sys.exit(f"links.py does not see: {fault}")


def main(directory):
    self_test()
    pages, count, elsewhere, wrong = check(directory)
    print(f"{pages} pages, {count} links, {len(elsewhere)} addresses elsewhere:")
    for address in sorted(elsewhere):
        print("   ", address)
    for what in wrong:
        print(what)
    if wrong:
        sys.exit(f"{len(wrong)} faults")


if __name__ == "__main__":
    main(*sys.argv[1:])
