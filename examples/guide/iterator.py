# SPDX-License-Identifier: MIT
"""Looks for primes in an endless stream of numbers, and stops at the fifth."""
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice


def is_prime(n):
    divisor = 2
    while divisor * divisor <= n and n % divisor != 0:
        divisor += 1
    return divisor * divisor > n


# Pool.imap() and Executor.map() take all of their input before the first result: of an endless
# one they never return any. So the window is made by hand (or by buffersize=8 from 3.14 on).
def results(pool, task, numbers, window):
    pending = deque(pool.submit(task, n) for n in islice(numbers, window))
    while pending:
        result = pending.popleft().result()
        yield result, len(pending)
        pending.extend(pool.submit(task, n) for n in islice(numbers, 1))


if __name__ == "__main__":
    found = most = 0
    with ProcessPoolExecutor(2) as pool:
        stream = results(pool, is_prime, count(10**8), 8)
        for index, (prime, ahead) in enumerate(stream):
            most = max(most, ahead)
            if prime:
                print(f"10^8 + {index}")
                found += 1
            if found == 5:
                break
        print(f"taken ahead: {most}")
