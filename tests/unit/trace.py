# SPDX-License-Identifier: MIT
"""trace.py FILE [CONDITION ...]: whether the file is a trace as Chrome and Perfetto load it, and as
mproc/insight.h says; and whether each condition, an expression over the names below, holds."""
import collections
import json
import re
import sys


def no_twins(pairs):
    assert len({key for key, _ in pairs}) == len(pairs), f"a key stands twice: {pairs}"
    return dict(pairs)


def strange(constant):
    raise AssertionError(f"{constant} is no JSON")


def check(condition, event):
    assert condition, f"wrong: {event}"


def check_event(e):
    check(e["ph"] in ("M", "X", "i"), e)
    check(isinstance(e["pid"], int) and isinstance(e["tid"], int), e)
    check(isinstance(e["name"], str) and isinstance(e["args"], dict), e)
    if e["ph"] != "M":
        check(isinstance(e["ts"], float) and e["ts"] >= 0, e)
        check(e["cat"] in ("work", "worker"), e)
    if e["ph"] == "i":
        check(e["s"] == "t" and "dur" not in e, e)
        check(e["name"] in ("started", "ended", "died", "events dropped"), e)
    if e["ph"] == "X":
        check(isinstance(e["dur"], float) and e["dur"] >= 0, e)
    if e.get("cat") == "work":
        a = e["args"]
        check(a["outcome"] in ("done", "failed", "lost"), e)
        check(all(isinstance(a[k], int) for k in ("work", "index", "count")), e)
        check(a["work"] >= 1 and a["index"] >= 0 and a["count"] >= 1, e)
        check(a["count"] == 1 or a["outcome"] == "done", e)


text = open(sys.argv[1], encoding="utf-8").read()
trace = json.loads(text, object_pairs_hook=no_twins, parse_constant=strange)
assert set(trace) == {"displayTimeUnit", "otherData", "traceEvents"}, set(trace)
assert trace["displayTimeUnit"] == "ns"
assert not re.search(r'"(?:ts|dur)":(?!\d+\.\d{3}[,}])', text), "a time is no us with three digits"
events = trace["traceEvents"]
dropped = trace["otherData"]["dropped"]
for e in events:
    check_event(e)
assert len({e["pid"] for e in events}) == 1

lines = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
assert [e["args"]["name"] for e in events if e["name"] == "process_name"] != []
assert all(e["tid"] in lines for e in events if e["ph"] != "M")

# On each line events stand in the order of time, and slices do not overlap.
ends = collections.defaultdict(float)
for e in events:
    if e["ph"] == "X":
        assert e["ts"] >= ends[e["tid"]] - 0.0005, f"overlaps: {e}"
        ends[e["tid"]] = e["ts"] + e["dur"]
starts = [(e["tid"], e["ts"]) for e in events if e["ph"] != "M"]
assert starts == sorted(starts, key=lambda s: s[0]), "lines are mixed"
assert all(a[0] != b[0] or a[1] <= b[1] + 0.0005 for a, b in zip(starts, starts[1:]))

work = [e for e in events if e.get("cat") == "work"]
instants = collections.Counter(e["name"] for e in events if e["ph"] == "i")
reasons = [e["args"]["reason"] for e in events if e["name"] in ("died", "ended")]
readied = [e for e in events if e["name"] == "start"]


def of(outcome, number=1, twice=0):
    """The indexes of a work's items that came out so; each once, but for so many that ran again."""
    found = [i for e in work if e["args"]["work"] == number and e["args"]["outcome"] == outcome
             for i in range(e["args"]["index"], e["args"]["index"] + e["args"]["count"])]
    assert len(set(found)) >= len(found) - twice, "an item stands twice"
    return set(found)


for condition in sys.argv[2:]:
    if not eval(condition):
        sys.exit(f"{condition} does not hold: {instants} {reasons} {len(work)} {sorted(lines.items())}")
