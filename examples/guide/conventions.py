# SPDX-License-Identifier: MIT
"""A success, a deadline, a misuse, a failure, an interrupt."""
import errno
import signal
from multiprocessing import BoundedSemaphore, Semaphore
from multiprocessing.shared_memory import SharedMemory


def code(call, *args, **kwargs):
    try:
        good = call(*args, **kwargs)
        return "MP_OK" if good else "MP_ETIMEDOUT"
    except OSError as error:
        if error.errno == errno.EINVAL:  # mostly a ValueError
            return "MP_EINVAL"
        return errno.errorcode[error.errno]
    except KeyboardInterrupt:
        return "MP_EINTR"


def tell(what, code):
    print(f"{what}: {code}")


def interrupted():
    signal.raise_signal(signal.SIGINT)  # KeyboardInterrupt
    return permits.acquire(timeout=60)


if __name__ == "__main__":
    permits = BoundedSemaphore(2)
    tell("a semaphore of -1", code(Semaphore, -1))
    tell("a permit", code(permits.acquire))
    with permits:
        tell("another", "MP_OK")
        in_time = code(permits.acquire, timeout=0.05)
        tell("a third, within 50 ms", in_time)
        tell("a third, at once", code(permits.acquire, False))
    tell("a third, later", code(permits.acquire, False))
    tell("no such block", code(SharedMemory, "no-such-block"))
    tell("a wait, interrupted", code(interrupted))
