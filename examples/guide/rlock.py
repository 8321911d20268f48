# SPDX-License-Identifier: MIT
"""transfer() locks, and calls withdraw() and deposit(), which
lock as well.
"""
from multiprocessing import Array, Process, RLock


def deposit(lock, account, i, amount):
    with lock:
        account[i] += amount


def withdraw(lock, account, i, amount):
    with lock:
        if account[i] < amount:
            return False
        account[i] -= amount
    return True


def transfer(lock, account):
    for _ in range(1000):
        with lock:  # nobody sees the money that is on its way
            if withdraw(lock, account, 0, 1):
                deposit(lock, account, 1, 1)


if __name__ == "__main__":
    lock = RLock()
    account = Array("l", [2500, 0], lock=False)
    args = (lock, account)
    processes = [Process(target=transfer, args=args) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    print(f"{account[0]} here, {account[1]} there")
