# SPDX-License-Identifier: MIT
"""Many small messages, one by one: a Queue of Python has no call
for many.
"""
from multiprocessing import Process, Queue

COUNT = 1000


def measure(samples):
    for i in range(COUNT):
        samples.put(i)
    samples.put(None)


if __name__ == "__main__":
    samples = Queue(maxsize=256)
    sensor = Process(target=measure, args=(samples,))
    sensor.start()

    count = total = 0
    while (value := samples.get()) is not None:
        count += 1
        total += value
    print(f"{count} samples, their sum is {total}")

    sensor.join()
