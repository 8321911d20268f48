# SPDX-License-Identifier: MIT
"""Python's side of the benchmarks.

python.py OBJECT METRIC PARTIES SECONDS CPU CPU LENGTH

Measures one object of multiprocessing as the C contenders measure theirs, and prints one figure:
seconds for one piece of work, or pieces a second. CPU is where even and odd parties run, -1: free.
LENGTH is that of a message, how many inputs a map has, or how many workers are started.
"""

import collections
import concurrent.futures
import multiprocessing
import os
import statistics
import sys
import time

now = time.perf_counter
context = multiprocessing.get_context("fork")


def pin(cpus, index):
    if cpus[index % 2] >= 0:
        os.sched_setaffinity(0, {cpus[index % 2]})


def warm_up(cpus):
    """The scheduler needs a while to find out who had better run apart."""
    return 30e-3 if cpus[0] < 0 else 0


def uncontended(thing, _parties, seconds, cpus):
    """Seconds for acquire + release, nobody else wants it."""
    pin(cpus, 0)
    acquire, release = thing.acquire, thing.release
    samples, end = [], now() + seconds
    while now() < end:
        before = now()
        for _ in range(500):
            acquire()
            release()
        samples.append(now() - before)
    return statistics.median(samples) / 500


def contended(thing, parties, seconds, cpus):
    """Pairs a second of all together."""
    start = context.Barrier(parties)
    parts = context.Array("d", 3 * parties)

    def party(index):
        pin(cpus, index)
        acquire, release = thing.acquire, thing.release
        start.wait()
        count, began = 0, now()
        end = began + warm_up(cpus)
        while now() < end:
            acquire()
            release()
        began = now()
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
        times = []
        count, began = 0, None
        wait()
        warm = now() + warm_up(cpus)
        while True:
            count += 1
            before = now()
            if began is None and before >= warm:
                began = before
            if index == 0 and last.value == 0 and began and now() - began >= seconds:
                last.value = count + 1
            wait()
            if began:
                times.append(now() - before)
            if last.value == count:
                break
        if index == 0:
            rate.value = 1 / statistics.median(times)

    run(party, parties)
    return rate.value


class Events:
    """Two events, each waited for and cleared by one side."""

    def __init__(self):
        self.events = [context.Event(), context.Event()]

    def send(self, to):
        self.events[to].set()

    def receive(self, to):
        self.events[to].wait()
        self.events[to].clear()


class Turns:
    """A condition and a flag under its lock."""

    def __init__(self):
        self.condition = context.Condition()
        self.turn = context.RawValue("i", 0)

    def send(self, to):
        with self.condition:
            self.turn.value = to + 1
            self.condition.notify()

    def receive(self, to):
        with self.condition:
            while self.turn.value != to + 1:
                self.condition.wait()
            self.turn.value = 0


class Pipe:
    """The default pipe, which goes both ways; who gets is number 1, and there and back also 0."""

    def __init__(self, length):
        self.ends = context.Pipe()
        self.bytes = b"Z" * length

    def send(self, to):
        self.ends[1 - to].send_bytes(self.bytes)

    def receive(self, to):
        return self.ends[to].recv_bytes()


class OneWayPipe(Pipe):
    """Two pipes that go one way."""

    def __init__(self, length):
        super().__init__(length)
        self.pipes = [context.Pipe(duplex=False) for _ in range(2)]

    def send(self, to):
        self.pipes[to][1].send_bytes(self.bytes)

    def receive(self, to):
        return self.pipes[to][0].recv_bytes()


class Queues:
    """A queue for each direction."""

    def __init__(self, make, length):
        self.queues = [make(), make()]
        self.bytes = b"Z" * length

    def send(self, to):
        self.queues[to].put(self.bytes)

    def receive(self, to):
        return self.queues[to].get()


class LongQueues(Queues):
    """Queues that grow: the producer rests while there is much in them, which is also fastest."""

    def __init__(self, length):
        super().__init__(context.Queue, length)
        self.most = min(4096, (8 << 20) // length)
        self.unseen = 0

    def send(self, to):
        self.queues[to].put(self.bytes)
        self.unseen += 1
        if self.unseen * 8 >= self.most:
            self.unseen = 0
            while self.queues[to].qsize() > self.most:
                time.sleep(500e-6)


def one_way(way, parties, seconds, cpus):
    """Messages a second that come out, of all consumers together."""
    consumers = parties // 2
    start = context.Barrier(parties)
    rates = context.RawArray("d", consumers)

    def produce():
        send = way.send
        while True:
            send(1)

    def consume(place):
        receive = way.receive
        looks = 1 if len(way.bytes) > 1024 else 8
        count, began, warm = 0, None, now() + max(warm_up(cpus), 10e-3)
        while True:  # also when it has its figure: the others have not
            receive(1)
            count += 1
            if count % looks != 0 or rates[place]:
                continue
            if began is None:
                if now() >= warm:
                    count, began = 0, now()
            elif now() - began >= seconds:
                rates[place] = count / (now() - began)

    def party(index):
        pin(cpus, index)
        start.wait()
        if index % 2 == 0:
            produce()
        else:
            consume(index // 2)

    # What a dying feeder thread holds would keep the others from ending by themselves.
    children = begin(party, parties)
    while not all(rates) and all(child.is_alive() for child in children):
        time.sleep(2e-3)
    for child in children:
        child.kill()
        child.join()
    if not all(rates):
        sys.exit("a party failed")
    return sum(rates)


def round_trip(way, parties, seconds, cpus):
    """The median of round trips, each answers at once."""
    return ping_pong(way, parties, seconds, cpus, lambda: None)[0]


def asleep(way, parties, seconds, cpus):
    """The median of forth and back, each lets the other fall asleep first."""

    def work():
        end = now() + 200e-6
        while now() < end:
            pass

    idle = (lambda: time.sleep(200e-6)) if cpus[0] == cpus[1] else work
    return ping_pong(way, parties, seconds, cpus, idle)[1]


def ping_pong(way, parties, seconds, cpus, idle):
    last = context.RawValue("q", 0)
    stamps = context.RawArray("d", 3)  # when each has sent; the way forth
    results = context.RawArray("d", 2)

    def lead():
        samples, times = [], []
        count, began = 0, None
        warm = now() + warm_up(cpus)
        while True:
            count += 1
            before = now()
            if began is None and before >= warm:
                began = before
            if last.value == 0 and began and now() - began >= seconds:
                last.value = count + 1
            idle()
            stamps[0] = now()
            way.send(1)
            way.receive(0)
            if began:
                samples.append(now() - stamps[1] + stamps[2])
                times.append(now() - before)
            if last.value == count:
                break
        results[:] = statistics.median(times), statistics.median(samples)

    def follow():
        count = 0
        while last.value == 0 or last.value > count:
            count += 1
            way.receive(1)
            stamps[2] = now() - stamps[0]
            idle()
            stamps[1] = now()
            way.send(0)

    def party(index):
        pin(cpus, index)
        (follow if index else lead)()

    run(party, parties)
    return results


def square(x):
    return x * x


class Pool:
    """What multiprocessing.Pool does with tasks."""

    def __init__(self, length):
        self.length = length

    def make(self, workers):
        self.pool = context.Pool(workers)

    def map(self, inputs, chunk):
        return self.pool.map(square, inputs, chunk)

    def submit(self, x):
        return self.pool.apply_async(square, (x,)).get

    def apply(self, x):
        return self.pool.apply(square, (x,))

    def close(self):
        self.pool.close()
        self.pool.join()


class Executor(Pool):
    """ProcessPoolExecutor does the same; it has no chunks of its own making."""

    def make(self, workers):
        self.pool = concurrent.futures.ProcessPoolExecutor(workers, mp_context=context)

    def map(self, inputs, chunk):
        return list(self.pool.map(square, inputs, chunksize=chunk or 1000))

    def submit(self, x):
        return self.pool.submit(square, x).result

    def apply(self, x):
        return self.submit(x)()

    def close(self):
        self.pool.shutdown()


def timed(call, seconds, pause=0):
    """The median of many calls after one."""
    call()
    samples, end = [], now() + seconds
    while not samples or now() < end:
        wake = now() + pause
        while now() < wake:
            pass
        before = now()
        call()
        samples.append(now() - before)
    return statistics.median(samples)


def squares(way, _parties, seconds, _cpus):
    """Seconds for a map."""
    way.make(2)
    inputs = list(range(way.length))
    took = timed(lambda: way.map(inputs, None), seconds)
    way.close()
    return took


def squares_one_by_one(way, _parties, seconds, _cpus):
    """The same, of a part that does not take too long, times how many such parts there are."""
    way.make(2)
    parts = 50 if type(way) is Pool else 200
    inputs = list(range(way.length // parts))
    took = timed(lambda: way.map(inputs, 1), seconds)
    way.close()
    return took * parts


def apply(way, _parties, seconds, _cpus, pause=0):
    """Seconds for a task."""
    way.make(2)
    took = timed(lambda: way.apply(3), seconds, pause)
    way.close()
    return took


def apply_asleep(way, _parties, seconds, cpus):
    """The same, the program works before each."""
    return apply(way, _parties, seconds, cpus, pause=300e-6)


def apply_async(way, _parties, seconds, _cpus):
    """Tasks a second with 1000 on their way."""
    way.make(2)
    window = collections.deque(way.submit(i) for i in range(1000))
    count, began = 0, now()
    while now() - began < seconds:
        for _ in range(100):
            window.popleft()()
            window.append(way.submit(count))
            count += 1
    rate = count / (now() - began)
    for get in window:
        get()
    way.close()
    return rate


def start(way, _parties, seconds, _cpus):
    """Seconds to make a pool, give each worker a task, and end it."""

    def live():
        way.make(way.length)
        way.map(range(way.length), 1)
        way.close()

    return timed(live, seconds)


def begin(party, parties):
    children = [context.Process(target=party, args=(i,), daemon=True) for i in range(parties)]
    for child in children:
        child.start()
    return children


def run(party, parties):
    for child in begin(party, parties):
        child.join()
        if child.exitcode != 0:
            sys.exit("a party failed")


def main():
    kind, metric = sys.argv[1:3]
    parties, seconds = int(sys.argv[3]), float(sys.argv[4])
    cpus = [int(sys.argv[5]), int(sys.argv[6])]
    length = int(sys.argv[7])
    thing = {
        "Lock": context.Lock,
        "RLock": context.RLock,
        "Semaphore": lambda: context.Semaphore(1),
        "Event": Events,
        "Condition": Turns,
        "Barrier": lambda: context.Barrier(parties),
        "Pipe": lambda: Pipe(length),
        "OneWayPipe": lambda: OneWayPipe(length),
        "SimpleQueue": lambda: Queues(context.SimpleQueue, length),
        "Queue": lambda: LongQueues(length),
        "Pool": lambda: Pool(length),
        "Executor": lambda: Executor(length),
    }[kind]()
    measure = globals()[metric]
    print(repr(measure(thing, parties, seconds, cpus)))


main()
