# SPDX-License-Identifier: MIT
"""Workers with a table; one is killed, its item runs again."""
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import Value


# Once in each worker.
def make_table(shared_tries):
    global table, tries
    table, tries = [10 * i for i in range(8)], shared_tries


def look_up(i):
    if i == 3:
        with tries.get_lock():
            tries.value += 1
        if tries.value == 1:
            os.kill(os.getpid(), signal.SIGKILL)
    return table[i]


# What a broken executor has not delivered runs again, in a new
# one: also items that had nothing to do with the death.
def run(items, *initargs):
    out = {}
    while left := [i for i in items if i not in out]:
        with ProcessPoolExecutor(
            2, initializer=make_table, initargs=initargs
        ) as pool:
            try:
                for i, x in zip(left, pool.map(look_up, left)):
                    out[i] = x
            except BrokenProcessPool:
                pass
    return out.values()


if __name__ == "__main__":
    tries = Value("i", 0)
    print(*run(range(8), tries))
    print(f"item 3 was tried {tries.value} times")
