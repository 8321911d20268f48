# SPDX-License-Identifier: MIT
"""Two workers visit pages; what did they do with their time?"""
import time
from concurrent.futures import ProcessPoolExecutor


def visit(page):
    time.sleep(0.4 if page == 33 else 0.001)  # one is far away
    if page % 10 == 9:
        raise LookupError(f"no page {page}")


# Python's pools keep no figures: each task has to take its own
# time, and to send it along.
def timed_visit(page):
    start, failed = time.perf_counter(), False
    try:
        visit(page)
    except LookupError:
        failed = True
    return time.perf_counter() - start, page, failed


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        seen = list(pool.map(timed_visit, range(50)))
    failed = sum(item[2] for item in seen)
    print(f"{len(seen)} items, {failed} failed")
    seconds, slowest, _ = max(seen)
    print(f"slowest: item {slowest}")
    print(f"at least 0.4 seconds: {seconds >= 0.4:d}")
    busy = sum(item[0] for item in seen)
    print(f"busy for 0.449 at least: {busy >= 0.449:d}")
