# SPDX-License-Identifier: MIT
"""Python's pains with Pool and ProcessPoolExecutor; python_pains.py plays them."""
import ctypes
import multiprocessing as mp
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, wait

from python_help import outcome, within


def pool_of(processes, *arguments):
    return mp.get_context("fork").Pool(processes, *arguments)


def got(result, seconds=3):
    """What a result's get() comes to: a hang, if it is not there in time."""
    said = outcome(result.get, seconds)
    return "hangs" if said == "TimeoutError" else said


def kill_self():
    os.kill(os.getpid(), signal.SIGKILL)


def end_pool(pool):
    pool.close()
    pool.join()
    return "ends"


def a7():
    pool = pool_of(2)
    lost = got(pool.apply_async(kill_self))
    end = within(3, end_pool, pool)
    return f"get() of a killed worker's task: {lost}; close() and join(): {end}"


def a8():
    lost = got(pool_of(1).apply_async(sys.exit, (3,)))
    return f"get() of a task that calls sys.exit(3): {lost}"


def kill_soon():
    time.sleep(0.3)
    kill_self()


def a9():
    executor = ProcessPoolExecutor(2)
    futures = [executor.submit(kill_soon)] + [executor.submit(time.sleep, 1) for _ in range(5)]
    wait(futures, 5)
    failed = [type(f.exception(0)).__name__ for f in futures if f.done() and f.exception(0)]
    later = outcome(executor.submit, abs, -1)
    return (f"one worker killed: {len(failed)} of {len(futures)} futures are {failed[-1]}; "
            f"the next submit(): {later}")


LEAVE = """import multiprocessing as mp, time
from concurrent.futures import ProcessPoolExecutor
if {kind!r} == "executor":
    pool = ProcessPoolExecutor(3)
    list(pool.map(abs, range(9)))
    pids = list(pool._processes)
else:
    pool = mp.get_context("fork").Pool(3)
    pids = [worker.pid for worker in pool._pool]
if {kind!r} == "busy":
    pool.map_async(time.sleep, [100] * 3, 1)
    time.sleep(0.5)
print(*pids, flush=True)
time.sleep(100)
"""


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def left_of(kind):
    """How many workers are left, three seconds after their program was killed."""
    with subprocess.Popen([sys.executable, "-c", LEAVE.format(kind=kind)], text=True,
                          stdout=subprocess.PIPE) as program:
        pids = [int(pid) for pid in program.stdout.readline().split()]
        time.sleep(0.5)
        program.kill()
        program.wait()
        program.stdout.close()
    end = time.monotonic() + 3
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.01)
    return f"{sum(map(alive, pids))} of {len(pids)}"


def a14():
    return (f"after SIGKILL of the program: idle Pool workers {left_of('idle')} left, busy ones "
            f"{left_of('busy')}, an executor's {left_of('executor')}")


def reads(pid):
    """Whether it is in read(2), with the lock of the task queue."""
    try:
        with open(f"/proc/{pid}/syscall", encoding="ascii") as call:
            return call.read().split()[0] == "0"
    except OSError:
        return False


def a17():
    pool = pool_of(4)
    pool.map(abs, range(8))
    reader = []
    while not reader:
        reader = [worker.pid for worker in pool._pool if reads(worker.pid)]
    os.kill(reader[0], signal.SIGKILL)
    time.sleep(0.5)
    next_one = got(pool.apply_async(abs, (-1,)))
    return f"the idle worker that is next is killed: get() of the next task: {next_one}"


def send_and_die(size):
    threading.Timer(0.7, kill_self).start()
    return b"x" * size


def a18():
    pool = pool_of(2)
    pool.apply_async(abs, (1,), callback=lambda _: time.sleep(2))  # nobody reads meanwhile
    time.sleep(0.2)
    pool.apply_async(send_and_die, (1000000,))
    time.sleep(2.5)
    later = got(pool.apply_async(abs, (-1,)))
    held = pool._outqueue._wlock._semlock._is_zero()
    return (f"a worker is killed in the middle of a result of 1 MB: get() of the next task: "
            f"{later}; the lock is {'held' if held else 'free'}")


def start_one():
    mp.get_context("fork").Process(target=abs, args=(1,)).start()


def b11():
    return f"a task starts a process: {outcome(pool_of(1).apply, start_one)}"


INTERRUPTED = """import multiprocessing as mp, time
if __name__ == "__main__":
    pool = mp.get_context("fork").Pool(4)
    try:
        pool.map(time.sleep, [1] * 8, 1)
    except KeyboardInterrupt:
        pool.{how}()
        pool.join()
"""


def interrupted(how):
    """A program whose session gets a SIGINT, as Ctrl-C sends it."""
    program = subprocess.Popen([sys.executable, "-c", INTERRUPTED.format(how=how)], text=True,
                               stderr=subprocess.PIPE, start_new_session=True)
    time.sleep(0.7)
    os.killpg(program.pid, signal.SIGINT)
    ended = "ends"
    try:
        program.wait(8)
    except subprocess.TimeoutExpired:
        ended = "hangs"
    os.killpg(program.pid, signal.SIGKILL) if ended == "hangs" else None
    said = "Traceback (most recent" in program.communicate()[1]
    return f"{ended}, with{'' if said else 'out'} tracebacks of workers"


def b12():
    return (f"Ctrl-C, then close() and join(): {interrupted('close')}; terminate(): "
            f"{interrupted('terminate')}")


def fail(count):
    with count.get_lock():
        count.value += 1
    raise RuntimeError("bad initializer")


def d1():
    count = mp.Value(ctypes.c_int, 0)
    result = got(pool_of(2, fail, (count,)).apply_async(abs, (-1,)))
    many = "hundreds of" if count.value >= 100 else count.value
    return f"an initializer that raises: {many} workers started in 3 s; get(): {result}"


def shout(_):
    raise RuntimeError("in a callback")


def d2():
    pool = pool_of(2)
    first = pool.apply_async(abs, (-1,), callback=shout)
    time.sleep(0.5)
    first, later = got(first), got(pool.apply_async(abs, (-1,)))
    return f"a callback that raises: get() of its result: {first}, of the next one: {later}"


class Unloadable(Exception):
    def __init__(self, a, b):
        super().__init__(a)
        self.b = b


def raise_unloadable():
    raise Unloadable(1, 2)


def d3():
    pool = pool_of(2)
    first = got(pool.apply_async(raise_unloadable))
    return (f"an exception of two arguments: get(): {first}; get() of the next task: "
            f"{got(pool.apply_async(abs, (-1,)))}")


def d4():
    pool = pool_of(2)
    result = pool.map_async(time.sleep, [100] * 4)
    time.sleep(0.3)
    pool.terminate()
    pool.join()
    return f"get() of an outstanding result after terminate(): {got(result)}"


def count_to(most, taken):
    while taken[0] < most:
        taken[0] += 1
        yield taken[0]


def d5():
    taken = [0]
    results = pool_of(2).imap(abs, count_to(200000, taken))
    next(results)
    time.sleep(6)
    held = len(results._items) + len(results._unsorted)
    ahead = "more than 100000" if min(taken[0], held) > 100000 else f"{taken[0]}, {held}"
    return f"after one next() of imap over 200000 inputs: {ahead} are taken and not delivered"


def d6():
    said = [pool_of(1).map(abs, [1, 2], size) for size in (0, -1)]
    return f"map(abs, [1, 2], chunksize=0): {said[0]}; -1: {said[1]}"


def d7():
    executor = ProcessPoolExecutor(1)
    future = executor.submit(time.sleep, 4)
    raised = outcome(future.result, 0.5)
    running, canceled, begin = future.running(), future.cancel(), time.monotonic()
    executor.shutdown(cancel_futures=True)
    waited = time.monotonic() - begin > 3
    return (f"result(0.5) of a task of 4 s: {raised}; then running() {running}, cancel() "
            f"{canceled}; shutdown(cancel_futures=True) {'waits' if waited else 'ends'}")


def d8():
    executor = ProcessPoolExecutor(1)
    futures = [executor.submit(time.sleep, 2) for _ in range(6)]
    time.sleep(0.5)
    running = sum(future.running() for future in futures)
    canceled = sum(future.cancel() for future in futures)
    return f"1 worker, 6 calls: {running} are running(), {canceled} can be canceled"


def d9():
    taken = [0]
    executor = ProcessPoolExecutor(2)
    said = within(2, lambda: next(executor.map(abs, count_to(10**9, taken))))
    many = "thousands of" if taken[0] >= 2000 else taken[0]
    return f"map() over an endless input: the first result: {said}, with {many} inputs taken in 2 s"


def d10():
    context = mp.get_context("fork")
    made = outcome(lambda: ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=5))
    return f"max_tasks_per_child=5 of an executor that forks: {made}"


SHUTDOWN = """from concurrent.futures import ProcessPoolExecutor
import time
if __name__ == "__main__":
    executor = ProcessPoolExecutor(3)
    executor.submit(time.sleep, 0.5)
    executor.shutdown(wait=False)
"""


def d11():
    runs = [subprocess.Popen([sys.executable, "-c", SHUTDOWN], stderr=subprocess.DEVNULL)
            for _ in range(5)]
    ended = 0
    for run in runs:
        try:
            ended += run.wait(8) == 0
        except subprocess.TimeoutExpired:
            pass
    return f"shutdown(wait=False), then exit: ends in {ended} of {len(runs)} runs"


def count_run(_):
    with COUNT.get_lock():
        COUNT.value += 1
    time.sleep(0.01)


def d12():
    global COUNT  # pylint: disable=global-variable-undefined
    COUNT = mp.Value(ctypes.c_int, 0)
    with pool_of(2) as pool:
        result = pool.map_async(count_run, range(1000), 1)
    time.sleep(1)
    part = "all" if COUNT.value == 1000 else "a part"
    return (f"a with block around map_async() of 1000 items: {part} of them have run; get(): "
            f"{got(result)}")


def d13():
    pool, executor = pool_of(1), ProcessPoolExecutor(1)

    def caught(wait_for):
        try:
            wait_for(0.01)
        except TimeoutError:
            return True
        except Exception:  # pylint: disable=broad-except
            return False

    return (f"`except TimeoutError` catches that of AsyncResult.get(): "
            f"{caught(pool.apply_async(time.sleep, (9,)).get)}, of Future.result(): "
            f"{caught(executor.submit(time.sleep, 9).result)}")


def d14():
    before = threading.active_count()
    pool = pool_of(2)
    pools = threading.active_count() - before
    executor = ProcessPoolExecutor(2)
    executor.submit(abs, 1).result()
    executors = threading.active_count() - before - pools
    pool.terminate()
    return (f"a Pool has {pools} threads, an executor {executors}; replaced workers are forked "
            f"beside them")
