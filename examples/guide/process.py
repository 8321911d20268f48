# SPDX-License-Identifier: MIT
"""Three children: one returns, one gives up with exit(3), one
never ends and is terminated.
"""
import sys
import time
from multiprocessing import Process, current_process


def count(n):
    print(f"{current_process().name} counts to {n}")


def give_up():
    sys.exit(3)


def run_on():
    while True:
        time.sleep(1)


if __name__ == "__main__":
    processes = [
        Process(target=count, args=(10,)),
        Process(target=give_up, name="quitter"),
        Process(target=run_on, name="runner", daemon=True),
    ]
    for process in processes:
        process.start()

    processes[0].join()
    processes[1].join()
    processes[2].join(timeout=0.1)
    if processes[2].is_alive():
        print("runner runs on, and is terminated")
        processes[2].terminate()
        processes[2].join()
    for process in processes:
        print(f"{process.name}: exit code {process.exitcode}")
        process.close()
