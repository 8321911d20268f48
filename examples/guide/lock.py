# SPDX-License-Identifier: MIT
"""Four processes pay into an account, after a fifth was killed
in the middle of its change.
"""
import os
import signal
from multiprocessing import Array, Lock, Process

DEPOSITS, TOTAL = 0, 1  # how many, of 5 each; and their sum


def deposit(lock, account, times):
    for _ in range(times):
        with lock:
            account[DEPOSITS] += 1
            account[TOTAL] += 5


def die_midway(lock, account):
    lock.acquire()
    account[DEPOSITS] += 1
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    lock = Lock()
    account = Array("l", 2, lock=False)

    # Alone: who waited for the lock now would wait for ever.
    victim = Process(target=die_midway, args=(lock, account))
    victim.start()
    victim.join()
    if victim.exitcode != 0 and not lock.acquire(timeout=0.1):
        # Whose is it? Only the dead one's: nobody else runs.
        message = "The owner died between two steps: the first is undone."
        print(message, flush=True)
        account[DEPOSITS] = account[TOTAL] // 5
    lock.release()

    args = (lock, account, 1000)
    processes = [Process(target=deposit, args=args) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    deposit(lock, account, 1)
    deposits, total = account
    print(f"{deposits} deposits, {total} in all")
