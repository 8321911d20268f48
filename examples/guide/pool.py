# SPDX-License-Identifier: MIT
"""Maps a function; then one that kills the worker of an item."""
import os
import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool


def square(x):
    return x * x


def fragile_square(x):
    if x == 5:  # killed, as the kernel does it without memory
        os.kill(os.getpid(), signal.SIGKILL)
    return square(x)


def show(what, values):
    print(f"{what}:", *values)


if __name__ == "__main__":
    numbers = range(8)
    with ProcessPoolExecutor(4) as pool:
        show("squares", pool.map(square, numbers))

    # A death breaks the executor: all that is not done fails,
    # and nobody says which item it was. (A Pool would wait for
    # ever.) So each item needs an executor of its own.
    some = []
    for i in numbers:
        with ProcessPoolExecutor(1) as pool:
            future = pool.submit(fragile_square, i)
            try:
                some.append(future.result())
            except BrokenProcessPool:
                some.append(0)
                print(f"item {i}: its worker has died")
    show("the others", some)

    with ProcessPoolExecutor(4) as pool:
        show("squares", pool.map(square, numbers))
