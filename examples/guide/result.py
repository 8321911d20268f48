# SPDX-License-Identifier: MIT
"""Work under way: a deadline, a cancel, a callback, and a job that is chained to another."""
import multiprocessing
from concurrent.futures import ProcessPoolExecutor, TimeoutError, wait


def prepare(event):
    global go
    go = event


def square(x):
    return x * x


def square_later(x):
    go.wait(60)
    return square(x)


if __name__ == "__main__":
    go = multiprocessing.Event()
    with ProcessPoolExecutor(1, initializer=prepare, initargs=(go,)) as pool:
        r = [pool.submit(square_later, i + 2) for i in range(5)]
        # Called by a thread of the executor's, whenever that comes to it.
        r[1].add_done_callback(lambda f: print(f"callback: {f.result()}"))
        try:
            r[0].result(timeout=0.05)
        except TimeoutError:
            print("not ready yet")
        if r[4].cancel():  # r[1] and r[2] could not be: they wait in the worker's pipe
            print("the last one is canceled")

        go.set()
        print(f"done: {len(wait(r).done)} of {len(r)}")
        chained = pool.submit(square, r[0].result())  # only now: it takes a value
        print(f"the square of the first square: {chained.result()}")
