# SPDX-License-Identifier: MIT
"""Looks for primes in an endless stream, up to the fifth."""
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice


def is_prime(n):
    divisor = 2
    while divisor * divisor <= n and n % divisor != 0:
        divisor += 1
    return divisor * divisor > n


# imap() and map() take all of their input before the first
# result: of an endless one they never return any. So here is a
# window made by hand; from 3.14 on map() has buffersize=8.
def results(pool, task, inputs, window):
    pending = deque()
    for n in islice(inputs, window):
        pending.append(pool.submit(task, n))
    while pending:
        result = pending.popleft().result()
        yield result, len(pending)
        for n in islice(inputs, 1):
            pending.append(pool.submit(task, n))


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
