# SPDX-License-Identifier: MIT
"""Two workers visit pages; then they are asked what they did with their time."""
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import current_process


def visit(page):
    time.sleep(0.1 if page == 33 else 0.001)  # one is far away
    if page % 10 == 9:
        raise LookupError(f"no page {page}")


# Python's pools keep no figures: each task has to take its own time, and send it along.
def timed_visit(page):
    start = time.perf_counter()
    try:
        visit(page)
        failed = False
    except LookupError:
        failed = True
    return time.perf_counter() - start, failed, page, current_process().pid


if __name__ == "__main__":
    with ProcessPoolExecutor(2) as pool:
        seen = list(pool.map(timed_visit, range(50)))
        places = pool._max_workers  # of those that had nothing to do we would not know
    busy, failed = (sum(column) for column in list(zip(*seen))[:2])
    seconds, _, index, _ = max(seen)
    print(f"{places} workers, {len(seen)} items, {failed} failed")
    print(f"slowest: item {index}, {'0.1 seconds or more' if seconds >= 0.1 else '?'}")
    print(f"at work for 0.149 seconds or more: {'yes' if busy >= 0.149 else 'no'}")
