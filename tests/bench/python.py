# SPDX-License-Identifier: MIT
"""Python's side of the benchmarks.

python.py OBJECT METRIC PARTIES SECONDS CPU CPU

Measures one object of multiprocessing as the C contenders measure theirs, and prints one figure:
seconds for one piece of work, or pieces a second. CPU is where even and odd parties run, -1: free.
"""

import multiprocessing
import os
import sys
import time

now = time.perf_counter
context = multiprocessing.get_context("fork")


def pin(cpus, index):
    if cpus[index % 2] >= 0:
        os.sched_setaffinity(0, {cpus[index % 2]})


def uncontended(thing, _parties, seconds, cpus):
    """Seconds for acquire + release, nobody else wants it."""
    pin(cpus, 0)
    acquire, release = thing.acquire, thing.release
    count, began = 0, now()
    while now() - began < seconds:
        for _ in range(100):
            acquire()
            release()
        count += 100
    return (now() - began) / count


def contended(thing, parties, seconds, cpus):
    """Pairs a second of all together."""
    start = context.Barrier(parties)
    parts = context.Array("d", 3 * parties)

    def party(index):
        pin(cpus, index)
        acquire, release = thing.acquire, thing.release
        start.wait()
        count, began = 0, now()
        while now() - began < seconds:
            for _ in range(100):
                acquire()
                release()
            count += 100
        parts[3 * index : 3 * index + 3] = count, began, now()

    run(party, parties)
    return sum(parts[0::3]) / (max(parts[2::3]) - min(parts[1::3]))


def rounds(barrier, parties, seconds, cpus):
    """Rounds a second; the first party says which is the last."""
    last = context.RawValue("q", 0)
    rate = context.RawValue("d", 0)

    def party(index):
        pin(cpus, index)
        wait = barrier.wait
        count = 0
        wait()
        began = now()
        while True:
            count += 1
            if index == 0 and last.value == 0 and now() - began >= seconds:
                last.value = count + 1
            wait()
            if last.value == count:
                break
        if index == 0:
            rate.value = count / (now() - began)

    run(party, parties)
    return rate.value


def run(party, parties):
    children = [context.Process(target=party, args=(i,), daemon=True) for i in range(parties)]
    for child in children:
        child.start()
    for child in children:
        child.join()
        if child.exitcode != 0:
            sys.exit("a party failed")


def main():
    kind, metric = sys.argv[1:3]
    parties, seconds = int(sys.argv[3]), float(sys.argv[4])
    cpus = [int(sys.argv[5]), int(sys.argv[6])]
    thing = {
        "Lock": context.Lock,
        "RLock": context.RLock,
        "Semaphore": lambda: context.Semaphore(1),
        "Barrier": lambda: context.Barrier(parties),
    }[kind]()
    measure = globals()[metric]
    print(repr(measure(thing, parties, seconds, cpus)))


main()
