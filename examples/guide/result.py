# SPDX-License-Identifier: MIT
"""A deadline, a cancel, a callback, a call after another."""
import concurrent.futures
import multiprocessing


def prepare(event):
    global go
    go = event


def square(x):
    return x * x


def square_later(x):
    go.wait(60)
    return square(x)


def tell(future):  # in a thread of the executor's
    print(f"callback: {future.result()}")


if __name__ == "__main__":
    go = multiprocessing.Event()
    with concurrent.futures.ProcessPoolExecutor(
        1, initializer=prepare, initargs=(go,)
    ) as pool:
        r = [pool.submit(square_later, i + 2) for i in range(5)]
        r[1].add_done_callback(tell)
        try:
            r[0].result(timeout=0.05)
        except concurrent.futures.TimeoutError:
            print("not ready yet")
        if r[4].cancel():  # r[1] and r[2] could not be
            print("the last one is canceled")

        go.set()
        done = concurrent.futures.wait(r).done
        print(f"done: {len(done)} of {len(r)}")
        # Only now: it takes a value.
        more = pool.submit(square, r[0].result())
        print(f"the square of the first square: {more.result()}")
