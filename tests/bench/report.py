# SPDX-License-Identifier: MIT
"""Charts of what the benchmarks measured.

report.py [--page] TSV DIRECTORY

Draws a chart for each table of the file that BENCH_TSV names and that has something to compare:
DIRECTORY/BENCH-METRIC.svg, and DIRECTORY/index.html with all of them. Bars for contenders, best
first, ours in a colour of its own; a thin line for the distance between the quartiles; a log scale
where they differ much. They suit light and dark pages.

With --page they become part of the documentation's pages: in the page's own colours, narrow enough
for a phone, as chart-BENCH-METRIC.svg; with measured.html, which tells where that was measured, and
measured-all.html, which has every figure.
"""

import collections
import html
import math
import os
import sys

LABELS, WIDTH, ROW, TOP, FIGURES = 236, 720, 24, 64, 96  # pixels
UNITS = {  # what they say, and whether less is better
    "ns": ("nanoseconds", True),
    "us": ("microseconds", True),
    "ms": ("milliseconds", True),
    "M/s": ("millions a second", False),
    "k/s": ("thousands a second", False),
    "ms/s": ("ms of processor time a second", True),
    "1/s": ("times a second", True),
    "KiB": ("KiB", True),
    "x": ("times", True),
    "%": ("percent of what is possible", False),
}
PLACES = {
    "pinned": "on two processors",
    "one-cpu": "on one processor",
    "unpinned": "where the scheduler puts them",
}
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #1f2328; }
.title { font-size: 15px; font-weight: 600; }
.note, .tick { font-size: 11px; fill: #59636e; }
.grid { stroke: #d1d9e0; }
.bar { fill: #8c9bab; }
.variant { fill: #7fb2e5; }
.ours { fill: #0b62c4; }
.own { font-weight: 600; }
.spread { stroke: #1f2328; stroke-width: 1.5; }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3; }
  .note, .tick { fill: #9198a1; }
  .grid { stroke: #3d444d; }
  .bar { fill: #6e7b88; }
  .variant { fill: #2f6299; }
  .ours { fill: #58a6ff; }
  .spread { stroke: #e6edf3; }
}
"""


PAGE_LABELS, PAGE_WIDTH, PAGE_ROW, PAGE_FIGURES = 8, 480, 40, 92
PAGE_STYLE = {  # attributes instead of classes, for the page has classes of its own
    "text": "font:13px var(--font-family);fill:var(--page-foreground-color)",
    "title": "font:600 14px var(--font-family);fill:var(--page-foreground-color)",
    "note": "font:12px var(--font-family);fill:var(--page-secondary-foreground-color)",
    "own": "font:600 13px var(--font-family);fill:var(--page-foreground-color)",
    "grid": "stroke:var(--separator-color);fill:none",
    "bar": "fill:var(--page-secondary-foreground-color);opacity:.45",
    "variant": "fill:var(--primary-color);opacity:.5",
    "ours": "fill:var(--primary-color)",
    "spread": "stroke:var(--page-foreground-color);stroke-width:1.5;fill:none",
}


class Table:
    """One metric of one benchmark at one placement."""

    def __init__(self, bench, metric):
        self.bench = bench
        self.metric, _, self.place = metric.partition(".")
        self.values, self.spreads, self.unit = {}, {}, ""

    def title(self):
        return f"{self.bench}, {self.metric}"

    def quartiles(self, peer):
        """About where they are; no more than twice the median is shown."""
        value = self.values[peer]
        half = value * min(self.spreads.get(peer, 0), 200) / 200
        return value - half, value + half

    def caption(self):
        words, less = UNITS.get(self.unit, (self.unit, False))
        place = f", {PLACES[self.place]}" if self.place in PLACES else ""
        return f"{words}{place}; {'less' if less else 'more'} is better"

    def sorted(self):
        less = UNITS.get(self.unit, ("", False))[1]
        return sorted(self.values, key=self.values.get, reverse=not less)

    def file(self):
        name = "-".join(filter(None, (self.bench, self.metric, self.place)))
        return "".join(c if c.isalnum() or c in "-_" else "-" for c in name) + ".svg"


def read(path):
    """The tables of a file, in its order, without those that could not be measured."""
    tables = collections.OrderedDict()
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            words = line.rstrip("\n").split("\t")
            if words[0] == "bench" or line.startswith("#"):
                continue
            if len(words) != 5:
                sys.exit(f"{path}:{number}: there should be five words")
            bench, peer, metric, value, unit = words
            is_spread = metric.endswith(":spread")
            metric = metric.removesuffix(":spread")
            table = tables.setdefault((bench, metric), Table(bench, metric))
            if is_spread:
                table.spreads[peer] = float(value)
            else:
                table.values[peer] = float(value)
                table.unit = unit
    return [t for t in tables.values() if max(t.values.values(), default=0) > 0]


def compare(tables):
    """Those with more than one bar."""
    return [t for t in tables if len(t.values) > 1]


class Scale:
    """Figures to pixels: linear from 0, or logarithmic from a power of ten."""

    def __init__(self, table, left=LABELS, room=WIDTH - LABELS - FIGURES):
        self.left, self.room = left, room
        values = table.values.values()
        least = min(v for v in values if v > 0)
        self.log = max(values) / least > 30
        self.low = 10 ** math.floor(math.log10(least / 2)) if self.log else 0
        self.most = max(table.quartiles(peer)[1] for peer in table.values)
        self.ticks = list(self._powers() if self.log else self._steps())

    def _powers(self):
        tick = self.low
        while tick <= self.most * 1.0001:
            yield tick
            tick *= 10

    def _steps(self):
        step = 10 ** math.floor(math.log10(self.most))
        step = next(s for s in (step / 5, step / 2, step, step * 2) if self.most / s <= 6)
        return (i * step for i in range(int(self.most / step) + 1))

    def __call__(self, value):
        if not self.log:
            return self.left + self.room * value / self.most
        value = max(value, self.low)
        share = math.log(value / self.low) / math.log(self.most / self.low)
        return self.left + self.room * share


def figure(value):
    """Three digits that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    digits = 2 - math.floor(math.log10(value)) if value > 0 else 0
    return f"{value:.{min(digits, 6)}f}"


def bar(table, scale, peer, y):
    value = table.values[peer]
    own = peer == "ours" or peer.startswith("ours-")
    kind = "ours" if peer == "ours" else "variant" if own else "bar"
    end = scale(value)
    yield (
        f'<text x="{LABELS - 8}" y="{y + 15}" text-anchor="end" '
        f'class="{"own" if own else "peer"}">{html.escape(peer)}</text>'
    )
    width = max(end - LABELS, 1)
    yield f'<rect class="{kind}" x="{LABELS}" y="{y + 3}" width="{width:.1f}" height="{ROW - 7}"/>'
    left, right = map(scale, table.quartiles(peer))
    if right > left:
        yield f'<path class="spread" d="M{left:.1f} {y + ROW / 2}H{right:.1f}"/>'
        end = max(end, right)
    text = f"{figure(value)} {html.escape(table.unit)}"
    yield f'<text x="{min(end + 6, WIDTH - 84):.1f}" y="{y + 15}">{text}</text>'


def draw(table):
    scale = Scale(table)
    peers = table.sorted()
    bottom = TOP + ROW * len(peers)
    note = table.caption() + ("; logarithmic" if scale.log else "")
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 24}" '
        f'width="{WIDTH}" height="{bottom + 24}" role="img">'
    )
    yield f"<title>{html.escape(table.title())}: {html.escape(note)}</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<text class="title" x="8" y="22">{html.escape(table.title())}</text>'
    yield f'<text class="note" x="8" y="42">{html.escape(note)}</text>'
    for tick in scale.ticks:
        x = scale(tick)
        yield f'<path class="grid" d="M{x:.1f} {TOP - 4}V{bottom}"/>'
        yield (
            f'<text class="tick" x="{x:.1f}" y="{bottom + 15}" text-anchor="middle">'
            f"{tick:g}</text>"
        )
    for row, peer in enumerate(peers):
        yield from bar(table, scale, peer, TOP + ROW * row)
    yield "</svg>"


def page_text(kind, x, y, text, anchor="start"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="{PAGE_STYLE[kind]}">'
        f"{html.escape(text)}</text>"
    )


def page_bar(table, scale, peer, y):
    value = table.values[peer]
    own = peer == "ours" or peer.startswith("ours-")
    kind = "ours" if peer == "ours" else "variant" if own else "bar"
    name = peer.replace("ours", "libmproc", 1) if own else peer
    end = scale(value)
    yield page_text("own" if own else "text", PAGE_LABELS, y + 12, name)
    width = max(end - PAGE_LABELS, 1)
    yield (
        f'<rect x="{PAGE_LABELS}" y="{y + 18}" width="{width:.1f}" height="14" '
        f'style="{PAGE_STYLE[kind]}"/>'
    )
    left, right = map(scale, table.quartiles(peer))
    if right > left:
        yield f'<path style="{PAGE_STYLE["spread"]}" d="M{left:.1f} {y + 25}H{right:.1f}"/>'
        end = max(end, right)
    text = f"{figure(value)} {table.unit}"
    yield page_text("text", min(end + 6, PAGE_WIDTH - PAGE_FIGURES + 6), y + 30, text)


def draw_for_page(table):
    scale = Scale(table, PAGE_LABELS, PAGE_WIDTH - PAGE_LABELS - PAGE_FIGURES)
    peers = table.sorted()
    bottom = 52 + PAGE_ROW * len(peers)
    note = table.caption() + ("; logarithmic" if scale.log else "")
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {PAGE_WIDTH} {bottom + 20}" '
        f'style="width:100%;max-width:{PAGE_WIDTH * 5 // 4}px;height:auto" role="img">'
    )
    yield f"<title>{html.escape(table.title())}: {html.escape(note)}</title>"
    yield page_text("title", PAGE_LABELS, 18, table.title())
    yield page_text("note", PAGE_LABELS, 36, note)
    for tick in scale.ticks:
        x = scale(tick)
        yield f'<path style="{PAGE_STYLE["grid"]}" d="M{x:.1f} 46V{bottom}"/>'
        yield page_text("note", x, bottom + 14, f"{tick:g}", "start" if x < 12 else "middle")
    for row, peer in enumerate(peers):
        yield from page_bar(table, scale, peer, 50 + PAGE_ROW * row)
    yield "</svg>"


def write_about(path, directory):
    """What the lines with # say of the measurement, as a list."""
    with open(path, encoding="utf-8") as lines:
        about = [line[1:].strip().partition(": ") for line in lines if line.startswith("#")]
    if not about:
        sys.exit(f"{path}: it does not say where it was measured")
    with open(os.path.join(directory, "measured.html"), "w", encoding="utf-8") as file:
        file.write('<table class="markdownTable">\n')
        for name, _, value in about:
            file.write(f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>\n")
        file.write("</table>\n")


def write_all(tables, directory):
    """Every figure, a table for each bench."""
    with open(os.path.join(directory, "measured-all.html"), "w", encoding="utf-8") as file:
        for table in tables:
            file.write(
                f"<details><summary>{html.escape(table.title())}: "
                f'{html.escape(table.caption())}</summary><table class="markdownTable">\n'
            )
            for peer in table.sorted():
                spread = f"± {table.spreads.get(peer, 0) / 2:.0f} %"
                file.write(
                    f"<tr><td>{html.escape(peer)}</td><td>{figure(table.values[peer])} "
                    f"{html.escape(table.unit)}</td><td>{spread}</td></tr>\n"
                )
            file.write("</table></details>\n")


def write_page(path, directory):
    tables = read(path)
    write_about(path, directory)
    write_all(tables, directory)
    for table in tables:
        name = os.path.join(directory, "chart-" + table.file())
        with open(name, "w", encoding="utf-8") as file:
            file.write("\n".join(draw_for_page(table)) + "\n")


def main():
    words = sys.argv[1:]
    for_page = words[:1] == ["--page"]
    if len(words) - for_page != 2:
        sys.exit(__doc__)
    path, directory = words[for_page:]
    os.makedirs(directory, exist_ok=True)
    if for_page:
        write_page(path, directory)
        return
    tables = compare(read(path))
    if not tables:
        sys.exit(f"{path}: nothing to compare")
    for table in tables:
        with open(os.path.join(directory, table.file()), "w", encoding="utf-8") as file:
            file.write("\n".join(draw(table)) + "\n")
    with open(os.path.join(directory, "index.html"), "w", encoding="utf-8") as file:
        file.write(
            '<!DOCTYPE html>\n<html lang="en"><meta charset="utf-8">'
            '<meta name="color-scheme" content="light dark"><title>Benchmarks</title>\n'
        )
        for table in tables:
            text = html.escape(f"{table.title()}: {table.caption()}")
            file.write(f'<p><img src="{table.file()}" alt="{text}"></p>\n')
        file.write("</html>\n")
    print(f"{len(tables)} charts in {directory}")


main()
