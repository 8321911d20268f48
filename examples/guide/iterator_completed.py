# SPDX-License-Identifier: MIT
"""Three pieces of work, whose results are taken as they come."""
import concurrent.futures as futures
from multiprocessing import Event


def prepare(events):
    global go
    go = events


# It takes as long as main likes.
def run(i):
    go[i].wait(60)
    return 100 + i


if __name__ == "__main__":
    go = [Event() for _ in range(3)]
    with futures.ProcessPoolExecutor(
        3, initializer=prepare, initargs=(go,)
    ) as pool:
        r = [pool.submit(run, i) for i in range(3)]

        # Its timeout is for all of them together, and ends it.
        try:
            next(futures.as_completed(r, timeout=0.05))
        except futures.TimeoutError:
            print("nothing yet")
        completed = futures.as_completed(r)
        for i in 2, 0, 1:
            go[i].set()
            future = next(completed)
            print(f"r[{r.index(future)}]: {future.result()}")
        if next(completed, None) is None:
            print("no more")
