# SPDX-License-Identifier: MIT
"""Three workers take numbers from one queue and put their
squares into another.
"""
from multiprocessing import Process, Queue


def work(jobs, squares):
    while (n := jobs.get()) is not None:
        squares.put(n * n)


if __name__ == "__main__":
    jobs = Queue(maxsize=8)
    squares = Queue()
    args = (jobs, squares)
    workers = [Process(target=work, args=args) for _ in range(3)]
    for worker in workers:
        worker.start()

    for n in range(1, 101):
        jobs.put(n)
    for _ in workers:
        jobs.put(None)  # close() is for this process alone

    total = sum(squares.get() for _ in range(100))
    print(f"the sum of 100 squares is {total}")

    for worker in workers:
        worker.join()
