# SPDX-License-Identifier: MIT
"""Three processes fill an array, count in an atomic, and hang blocks of their own into a list."""
from multiprocessing import Manager, Process, RawArray, Value


def work(worker, squares, filled, notes):
    for i in range(worker, len(squares), 3):
        squares[i] = i * i
        with filled.get_lock():  # += alone is a load and a store
            filled.value += 1
    notes.append(worker)  # a message to the manager's process


if __name__ == "__main__":
    squares = RawArray("i", 10)
    filled = Value("i", 0)
    with Manager() as manager:
        notes = manager.list()  # shared memory can hold no list
        workers = [Process(target=work, args=(i, squares, filled, notes)) for i in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        print(f"{filled.value} squares, the last is {squares[-1]}")
        print(f"notes of workers that add up to {sum(notes)}")
