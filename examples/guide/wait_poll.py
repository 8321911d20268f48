# SPDX-License-Identifier: MIT
"""A queue in a program's own selector loop, beside the end of
the process that fills it.
"""
import queue
import selectors
from multiprocessing import Process, Queue


def produce(numbers):
    for i in range(1, 4):
        numbers.put(i)


if __name__ == "__main__":
    numbers = Queue()
    child = Process(target=produce, args=(numbers,))
    child.start()

    selector = selectors.DefaultSelector()
    # A Queue has no public descriptor: _reader is within it.
    selector.register(numbers._reader, selectors.EVENT_READ)
    selector.register(child.sentinel, selectors.EVENT_READ)
    runs = True
    while runs:
        ready = [key.fileobj for key, _ in selector.select()]
        # When it has ended, its feeder thread has written all.
        runs = child.sentinel not in ready
        try:
            while True:
                print(f"got {numbers.get_nowait()}")
        except queue.Empty:
            pass
    child.join()
    print(f"exit code {child.exitcode}")
    selector.close()
