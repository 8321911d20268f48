# SPDX-License-Identifier: MIT
"""A process is killed while it holds one of two permits:
somebody has to know, and release it.
"""
import os
import signal
from multiprocessing import BoundedSemaphore, Process


def die_with_permit(printers):
    printers.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    printers = BoundedSemaphore(2)
    child = Process(target=die_with_permit, args=(printers,))
    child.start()
    child.join()
    print(f"exit code {child.exitcode}")
    if child.exitcode != 0:
        printers.release()  # a guess: that it died with one

    printers.acquire()
    printers.acquire()
    print("both permits are mine")
    printers.release()
    printers.release()
    print(f"{printers.get_value()} are free")
