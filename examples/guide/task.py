# SPDX-License-Identifier: MIT
"""A text, a failure, a crash, an endless item, a patient one."""
import os
import signal
import time
from multiprocessing import Pipe, Process


def task(i, soft_limit):
    text, end = "any text", time.monotonic() + soft_limit
    if i == 1:
        raise LookupError("no page 404")
    if i == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    while i == 3:
        time.sleep(1)
    while i == 4 and time.monotonic() < end:
        text = "as much as there was time for"
    return text


def run(answer, *args):
    try:
        answer.send((True, task(*args)))
    except Exception as error:
        answer.send((False, str(error)))


# Pools have no time limits: who does not end keeps his worker
# for ever. A crash hangs a Pool and breaks an executor. So each
# item gets a process of its own.
if __name__ == "__main__":
    for i in range(5):
        answer, other_end = Pipe(duplex=False)
        p = Process(target=run, args=(other_end, i, 0.1))
        p.start()
        other_end.close()
        if not answer.poll(1):
            p.kill()
            print(f"{i} was killed: it took too long")
        else:
            try:
                good, text = answer.recv()
                print(f"{i}{'' if good else ' failed'}: {text}")
            except EOFError:
                p.join()
                print(f"{i} crashed: signal {-p.exitcode}")
        p.join()
