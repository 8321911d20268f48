# SPDX-License-Identifier: MIT
"""Three meet round after round, until one is killed waiting."""
import time
from functools import partial
from multiprocessing import Barrier, Process, RawValue


def announce(rounds):
    rounds.value += 1
    print(f"round {rounds.value}: all are here", flush=True)


def party(barrier):
    while True:
        barrier.wait()


if __name__ == "__main__":
    rounds = RawValue("i", 0)
    barrier = Barrier(3, action=partial(announce, rounds))
    workers = [
        Process(target=party, args=(barrier,)) for _ in range(2)
    ]
    for worker in workers:
        worker.start()
    barrier.wait()
    barrier.wait()

    while barrier.n_waiting < 2:  # until both wait for main again
        time.sleep(0.001)
    workers[0].kill()
    workers[0].join()
    print("round 3: worker 0 is killed")
    # To the barrier the dead one still waits, and whoever wakes
    # it up waits for its answer: wait(), abort() and reset()
    # hang now, in main and in worker 1, whatever the timeout.
    workers[1].kill()
    workers[1].join()
    print("round 3: worker 1 has ended, too")
    print("round 3: broken off")
