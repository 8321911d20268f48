# SPDX-License-Identifier: MIT
"""A sensor says when it is ready, and measures until SIGTERM."""
import signal
from multiprocessing import Event, Process, RawValue


def on_term(number, frame):
    stop.set()  # if main were in stop.wait(), it would hang


def sensor(ready, stop, readings):
    ready.set()
    readings.value += 1
    while not stop.wait(0.01):  # 10 ms, or less
        readings.value += 1


if __name__ == "__main__":
    readings = RawValue("l", 0)
    ready, stop = Event(), Event()
    signal.signal(signal.SIGTERM, on_term)
    p = Process(target=sensor, args=(ready, stop, readings))
    print(f"ready: {ready.is_set():d}")
    p.start()
    ready.wait(60)
    print(f"ready: {ready.is_set():d}")
    p.join(0.1)
    print(f"in time: {not p.is_alive():d}")

    signal.raise_signal(signal.SIGTERM)  # as the shell's kill
    p.join()
    some = "some" if readings.value else "none"
    print(f"stopped: {p.exitcode}, readings: {some}")
