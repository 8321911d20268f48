# SPDX-License-Identifier: MIT
"""Charts of what the benchmarks measured.

report.py TSV DIRECTORY

Draws a chart for each table of the file that BENCH_TSV names and that has something to compare:
DIRECTORY/BENCH-METRIC.svg, and DIRECTORY/index.html with all of them. Bars for contenders, best
first, ours in a colour of its own; a thin line for the distance between the quartiles; a log scale
where they differ much. They suit light and dark pages.
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
    """The tables of a file, in its order; those with a single bar say nothing."""
    tables = collections.OrderedDict()
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            words = line.rstrip("\n").split("\t")
            if words[0] == "bench":
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
    return [t for t in tables.values() if len(t.values) > 1 and max(t.values.values()) > 0]


class Scale:
    """Figures to pixels: linear from 0, or logarithmic from a power of ten."""

    def __init__(self, table):
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
        room = WIDTH - LABELS - FIGURES
        if not self.log:
            return LABELS + room * value / self.most
        value = max(value, self.low)
        return LABELS + room * math.log(value / self.low) / math.log(self.most / self.low)


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


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    path, directory = sys.argv[1:]
    tables = read(path)
    if not tables:
        sys.exit(f"{path}: nothing to compare")
    os.makedirs(directory, exist_ok=True)
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
