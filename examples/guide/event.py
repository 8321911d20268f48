# SPDX-License-Identifier: MIT
"""A sensor says when it is ready, and measures until SIGTERM asks the program to stop."""
import signal
from multiprocessing import Event, Process, RawValue


def sensor(ready, stop, readings):
    ready.set()
    readings.value += 1
    while not stop.wait(0.01):  # a pause that can be cut short
        readings.value += 1


if __name__ == "__main__":
    readings = RawValue("l", 0)
    ready, stop = Event(), Event()
    # Called between two instructions of the main thread; were that in stop's own wait() or
    # is_set(), it would hang.
    signal.signal(signal.SIGTERM, lambda number, frame: stop.set())
    p = Process(target=sensor, args=(ready, stop, readings))
    print(f"ready: {ready.is_set():d}")
    p.start()
    ready.wait(60)
    print(f"ready: {ready.is_set():d}")
    p.join(0.1)
    print(f"in time: {not p.is_alive():d}")

    signal.raise_signal(signal.SIGTERM)  # as the shell's kill would
    p.join()
    print(f"stopped: {p.exitcode}, readings: {'some' if readings.value else 'none'}")
