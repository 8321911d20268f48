#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What Python's multiprocessing does in the pains that this library's tests are named after.

    python_pains.py [NAME ...]      one line each: NAME, a tab, what was observed

Each is played in a process of its own, which is killed after a while with everything it started: a
hang is an observation like any other.
"""
import ctypes
import multiprocessing as mp
import os
import signal
import subprocess
import sys
import time
from multiprocessing import shared_memory

sys.dont_write_bytecode = True
import python_pains_pool  # pylint: disable=wrong-import-position
import python_pains_queue  # pylint: disable=wrong-import-position
from python_help import forked, in_new_python, kill, until_asleep, within

PATIENCE = 30  # seconds that one pain may take


def hold(lock, held):
    lock.acquire()
    held.set()
    signal.pause()


def a1():
    outcome = []
    for make in (mp.Lock, mp.RLock, mp.Semaphore, mp.BoundedSemaphore, mp.Condition):
        lock, held = make(), mp.Event()
        child = forked(hold, lock, held)
        held.wait()
        kill(child)
        outcome.append(lock.acquire(timeout=1))
    return f"acquire(timeout=1) after the holder was killed: `{outcome}`"


def wait_on(condition, ready):
    with condition:
        ready.set()
        condition.wait()


def notify_after(how):
    condition, ready = mp.Condition(), mp.Event()
    child = forked(wait_on, condition, ready)
    ready.wait()
    time.sleep(0.3)
    until_asleep(child.pid)
    os.kill(child.pid, how)
    if how == signal.SIGKILL:
        child.join()
    def notify():
        with condition:
            condition.notify()
        return "returns"

    return within(3, notify)


def a2():
    dead, stopped = notify_after(signal.SIGKILL), notify_after(signal.SIGSTOP)
    return f"notify with the only waiter dead: {dead}; stopped: {stopped}"


def arrive(barrier):
    barrier.wait()


def a3():
    barrier = mp.Barrier(2)
    child = forked(arrive, barrier)
    while barrier.n_waiting == 0:
        time.sleep(0.01)
    time.sleep(0.3)
    kill(child)
    waiting, broken = barrier.n_waiting, barrier.broken
    return f"n_waiting {waiting}, broken {broken}; the next wait(): {within(3, barrier.wait)}"


def attach(name):
    """Opens the segment, or says why that fails, without this process's tracker hearing of it."""
    return os.path.exists("/dev/shm/" + name)


USE = "from multiprocessing import shared_memory; s = shared_memory.SharedMemory"


def e1():
    owner = shared_memory.SharedMemory(create=True, size=100)
    in_new_python(f"{USE}(name={owner.name!r}); s.close()")
    for _ in range(30):
        if not attach(owner.name):
            break
        time.sleep(0.1)
    there = attach(owner.name)
    owner.unlink() if there else None
    return f"after an attacher's exit the name is {'there' if there else 'gone'}"


def create(names):
    segment = shared_memory.SharedMemory(create=True, size=100)
    names.put(segment.name)
    segment.close()


def e2():
    names = mp.SimpleQueue()
    child = forked(create, names)
    name = names.get()
    child.join()
    for _ in range(30):
        if not attach(name):
            return "gone when its maker, a forked child, has ended"
        time.sleep(0.1)
    os.unlink("/dev/shm/" + name)
    return "there after its maker has ended"


def e3():
    code = f"""import os, signal; from multiprocessing import resource_tracker
{USE}(create=True, size=100, name="mp_pain_e3")
os.kill(resource_tracker._resource_tracker._pid, signal.SIGKILL)
os.kill(os.getpid(), signal.SIGKILL)"""
    in_new_python(code)
    there = attach("mp_pain_e3")
    if there:
        os.unlink("/dev/shm/mp_pain_e3")
    return f"owner and tracker killed: the file is {'there' if there else 'gone'}"


def e4():
    segment = shared_memory.SharedMemory(create=True, size=100)
    segment.unlink()
    try:
        segment.unlink()
        return "nothing"
    except FileNotFoundError as error:
        return f"the second unlink raises {type(error).__name__}"


def e5():
    name = "mp_pain:e5"
    _, errors = in_new_python(f"{USE}(create=True, size=100, name={name!r})")
    there = attach(name)
    if there:
        os.unlink("/dev/shm/" + name)
    last = errors.strip().splitlines()[-1] if errors.strip() else "nothing"
    return f"the tracker writes: {last}; the segment is {'there' if there else 'gone'}"


def e6():
    segment = shared_memory.SharedMemory(create=True, size=100)
    view = segment.buf[10:20]
    try:
        segment.close()
        outcome = "nothing"
    except BufferError as error:
        outcome = f"{type(error).__name__}"
    view.release()
    segment.close()
    segment.unlink()
    return f"close() with a live view: {outcome}"


def e7():
    code = f"""import os
{USE}(create=True, size=8192, name="mp_pain_e7")
os.truncate("/dev/shm/mp_pain_e7", 0)
s.buf[5000]"""
    status, _ = in_new_python(code)
    if attach("mp_pain_e7"):
        os.unlink("/dev/shm/mp_pain_e7")
    return f"reading after a peer truncated the file: exit status {status}"


def e8():
    values = [b"a\0", "x\0", b"\0\0"]
    shared = shared_memory.ShareableList(values)
    got = [shared[i] for i in range(3)]
    shared.shm.close()
    shared.shm.unlink()
    lost = sum(a != b for a, b in zip(values, got))
    return f"{lost} of {len(values)} texts come back without their trailing NULs"


def e9():
    before = set(os.listdir("/dev/shm"))
    try:
        shared_memory.ShareableList(["\ud800"])
    except Exception as error:  # pylint: disable=broad-except
        left = set(os.listdir("/dev/shm")) - before
        for name in left:
            os.unlink("/dev/shm/" + name)
        return f"{type(error).__name__}; segments left: {len(left)}"
    return "accepted"


def e10():
    shared = shared_memory.ShareableList([1, 2, 3])
    try:
        got = shared[-4]
    except Exception as error:  # pylint: disable=broad-except
        got = type(error).__name__
    shared.shm.close()
    shared.shm.unlink()
    return f"[-4] of three items gives {got}"


def e11():
    value = mp.Value("b", 0)
    value.value = 300
    return f"a signed byte set to 300 holds {value.value}"


def add(value, times):
    for _ in range(times):
        value.value += 1


def e12():
    value = mp.Value("i", 0)
    children = [forked(add, value, 20000) for _ in range(4)]
    for child in children:
        child.join()
    return f"4 x 20000 increments make {value.value}"


def e13():
    def maps():
        with open("/proc/self/maps", encoding="ascii") as lines:
            return sum(1 for _ in lines)

    before = maps()
    locks = [mp.Lock() for _ in range(1000)]
    return f"{len(locks)} locks take {maps() - before} memory maps"


def await_event(event, ready, results):
    ready.release()
    results.put(event.wait(10))


def f1():
    event, ready, results = mp.Event(), mp.Semaphore(0), mp.Queue()
    seen = []
    for _ in range(10):
        children = [forked(await_event, event, ready, results) for _ in range(6)]
        for _ in children:
            ready.acquire()
        for child in children:
            time.sleep(0.02)
            until_asleep(child.pid)
        event.set()
        event.clear()
        seen += [results.get() for _ in children]
        for child in children:
            child.join()
    return f"set() and clear(): {seen.count(True)} of {len(seen)} waits return True"


def f2():
    trace = ["strace", "-f", "-e", "trace=futex", sys.executable, "-c",
             "import multiprocessing as m; s = m.Semaphore(0); s.acquire(timeout=0.1)"]
    try:
        done = subprocess.run(trace, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "no strace here"
    return f"the timed wait uses FUTEX_CLOCK_REALTIME: {'FUTEX_CLOCK_REALTIME' in done.stderr}"


def f3():
    barrier = mp.Barrier(0)
    return f"Barrier(0) is accepted; its wait(): {within(3, barrier.wait)}"


def release(lock, errors):
    try:
        lock.release()
        errors.value = 0
    except Exception:  # pylint: disable=broad-except
        errors.value = 1


def f4():
    lock, errors = mp.Lock(), mp.Value(ctypes.c_int, -1)
    lock.acquire()
    forked(release, lock, errors).join()
    return f"a child releases its parent's lock: {'refused' if errors.value else 'done'}"


ALL = {**vars(python_pains_queue), **vars(python_pains_pool), **globals()}
PAINS = {name.upper(): f for name, f in ALL.items() if name[0] in "abcdefg" and name[1:].isdigit()}


def play(name):
    """In a process and session of its own, so that all of it can be killed."""
    done = subprocess.Popen([sys.executable, __file__, "--one", name], stdout=subprocess.PIPE,
                            stderr=subprocess.DEVNULL, text=True, start_new_session=True)
    hung = False
    try:
        done.wait(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        hung = True
    try:
        os.killpg(done.pid, signal.SIGKILL)  # what hangs or is stopped holds the pipe, too
    except ProcessLookupError:
        pass
    text = done.communicate()[0].strip()
    return "hangs" if hung else text


def main(arguments):
    if arguments[:1] == ["--one"]:
        print(PAINS[arguments[1]](), flush=True)
        os._exit(0)  # not to wait for those who hang
    for name in arguments or PAINS:
        print(f"{name}\t{play(name)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
