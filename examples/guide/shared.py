# SPDX-License-Identifier: MIT
"""Three processes fill an array, count, and make a list."""
from multiprocessing import Manager, Process, RawArray, Value


def work(worker, squares, filled, notes):
    for i in range(worker, len(squares), 3):
        squares[i] = i * i
        with filled.get_lock():  # += is a load and a store
            filled.value += 1
    notes.append(worker)  # a message to the manager


if __name__ == "__main__":
    squares = RawArray("i", 10)
    filled = Value("i", 0)
    with Manager() as manager:
        notes = manager.list()  # no list lies in shared memory
        workers = [
            Process(target=work, args=(i, squares, filled, notes))
            for i in range(3)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        last = squares[-1]
        print(f"{filled.value} squares, the last is {last}")
        print(f"notes of workers that add up to {sum(notes)}")
