# SPDX-License-Identifier: MIT
"""Python's pains with queues and connections; python_pains.py plays them."""
import multiprocessing as mp
import os
import pickle
import queue as queues
import signal
import time
from multiprocessing.synchronize import SEM_VALUE_MAX

from python_help import forked, kill, outcome, until_asleep, within


def get(queue):
    queue.get()


def get_after(how):
    """What a reader gets after another, which waited, has ended in this way."""
    queue = mp.Queue()
    child = forked(get, queue)
    while not queue._rlock._semlock._is_zero():
        time.sleep(0.01)
    time.sleep(0.3)
    until_asleep(child.pid)
    kill(child, how)
    queue.put("item")
    while not queue._reader.poll(1):
        pass
    return f"{outcome(queue.get, True, 3)}, with qsize() {queue.qsize()}"


def a4():
    killed, terminated = get_after(signal.SIGKILL), get_after(signal.SIGTERM)
    return f"get(timeout=3) after a waiting reader was killed: {killed}; terminated: {terminated}"


def put_and_stay(queue, item):
    queue.put(item)
    signal.pause()


def a5():
    queue = mp.Queue()
    child = forked(put_and_stay, queue, b"x" * 1000000)
    while not queue._reader.poll(1):
        pass
    time.sleep(0.3)  # the pipe is full by now, and holds the smaller part
    kill(child)
    held = queue._wlock._semlock._is_zero()
    return (f"get(timeout=1) after a writer was killed in the middle: "
            f"{within(3, queue.get, True, 1)}; the write lock is {'held' if held else 'free'}")


def take_one(queue, taken):
    queue.get()
    taken.set()
    signal.pause()


def a6():
    queue, taken = mp.JoinableQueue(), mp.Event()
    queue.put(1)
    child = forked(take_one, queue, taken)
    taken.wait()
    kill(child)
    return f"join() of a queue whose item died with a worker: {within(3, queue.join)}"


def put(queue, item):
    queue.put(item)


def c1():
    queue = mp.Queue()
    child = forked(put, queue, b"x" * 1000000)
    child.join(3)
    alive = child.is_alive()
    queue.get()
    child.join(10)
    return (f"join() of a producer of 1 MB before the get: {'hangs' if alive else 'done'}; "
            f"after it: exit code {child.exitcode}")


def c2():
    empty = nothing = 0
    for _ in range(200):
        queue = mp.Queue()
        queue.put(1)
        empty += queue.empty()
        nothing += outcome(queue.get_nowait) == "Empty"
        queue.close()
    return f"right after put(): empty() {empty} of 200 times, get_nowait() raises {nothing} times"


def c3():
    queue, later = mp.Queue(), 0
    for _ in range(200):
        item = ["before"]
        queue.put(item)
        item[0] = "after"
        later += queue.get() == ["after"]
    return f"an item changed after put(): the reader gets the later value {later} of 200 times"


def c4():
    queue = mp.Queue()
    said = outcome(queue.put, lambda: 0)
    got = outcome(queue.get, True, 1)
    return f"put() of what cannot be sent: {said or 'no error'}; get(timeout=1): {got}"


def put_and_exit(queue, count):
    for i in range(count):
        queue.put(i)
    os._exit(0)


def put_and_leave(queue, count):
    queue.cancel_join_thread()
    for _ in range(count):
        queue.put(b"y" * 100)


def arrived(target, count):
    queue = mp.Queue()
    forked(target, queue, count).join()
    n = 0
    while within(5, queue.get, True, 0.5) not in ("Empty", "hangs", "EOFError"):
        n += 1
    return n


def c5():
    return (f"after os._exit() {arrived(put_and_exit, 1000)} of 1000 arrive; "
            f"after cancel_join_thread() {arrived(put_and_leave, 20000)} of 20000")


def c6():
    return (f"no limit is {mp.Queue()._maxsize} messages, one more: "
            f"{outcome(mp.Queue, SEM_VALUE_MAX + 1)} (32767 on macOS: not reproducible here)")


def c7():
    queue = mp.Queue()
    queue.put(1)
    queue.put(2)
    return f"qsize() {queue.qsize()} of 2 (NotImplementedError on macOS: not reproducible here)"


def bytes_read(pid):
    with open(f"/proc/{pid}/io", encoding="ascii") as io:
        return int(io.readline().split()[1])


def c8():
    queue = mp.Queue()
    child = forked(get, queue)
    before = bytes_read(child.pid)
    queue.put(b"x" * 200000000)
    while bytes_read(child.pid) < before + 1000000:
        pass
    os.kill(child.pid, signal.SIGSTOP)
    if not queue._rlock._semlock._is_zero():
        return "the reader was not met in the middle"
    queue.put("small")
    got = within(4, queue.get, True, 2)
    return f"a reader stopped in a message of 200 MB: another's get(timeout=2): {got}"


def c9():
    queue = mp.JoinableQueue()
    queue.put(1)
    return f"join(timeout=1): {outcome(lambda: queue.join(timeout=1))}, it takes none"


def g1():
    a, b = mp.Pipe()
    os.write(a.fileno(), b"\0\0\0\x64half")
    return f"half a message is there: poll() {b.poll(0)}, recv_bytes(): {within(3, b.recv_bytes)}"


def send_many(connection, character):
    for _ in range(60):
        connection.send_bytes(bytes([character]) * 300000)


def g2():
    reader, writer = mp.Pipe(False)
    children = [forked(send_many, writer, c) for c in b"AB"]
    writer.close()
    seen = []  # whether each message was whole

    def read_all():
        while True:
            message = reader.recv_bytes()
            seen.append(len(message) == 300000 and len(set(message)) == 1)

    end = within(6, read_all)
    for child in children:
        kill(child)
    return (f"2 processes send 60 messages each on one end: {seen.count(True)} come whole, "
            f"{seen.count(False)} mixed, then recv: {end}")


class Chosen:
    def __reduce__(self):
        return os.getppid, ()


def g3():
    a, b = mp.Pipe()
    a.send_bytes(pickle.dumps(Chosen()))
    return f"recv() calls os.getppid because the sender wants it: {b.recv() == os.getppid()}"


def g4():
    a, b = mp.Pipe(False)
    b.send_bytes(b"x" * 100)
    b.send_bytes(b"ok")
    first = outcome(a.recv_bytes, 10)
    return f"recv_bytes(10) of 100 bytes: {first}, and the connection is closed: {a.closed}"
