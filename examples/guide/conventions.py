# SPDX-License-Identifier: MIT
"""What calls return: a success, a deadline, a misuse, a failure of the system, an interrupt."""
import errno
import signal
from multiprocessing import BoundedSemaphore, Semaphore
from multiprocessing.shared_memory import SharedMemory


def code(call, *args, **kwargs):
    try:
        return "MP_OK" if call(*args, **kwargs) else "MP_ETIMEDOUT"
    except OSError as error:  # a semaphore of -1, too; elsewhere that would be a ValueError
        return "MP_EINVAL" if error.errno == errno.EINVAL else errno.errorcode[error.errno]
    except KeyboardInterrupt:
        return "MP_EINTR"


def tell(what, code):
    print(f"{what}: {code}")


def interrupted():
    signal.raise_signal(signal.SIGINT)  # Python's own handler raises KeyboardInterrupt
    return permits.acquire(timeout=60)


if __name__ == "__main__":
    permits = BoundedSemaphore(2)
    tell("a semaphore of -1", code(Semaphore, -1))
    tell("a permit", code(permits.acquire))
    with permits:
        tell("another", "MP_OK")
        tell("a third, within 50 ms", code(permits.acquire, timeout=0.05))
        tell("a third, at once", code(permits.acquire, block=False))
    tell("a third, later", code(permits.acquire, block=False))
    tell("a name that is not there", code(SharedMemory, "no-such-block"))
    tell("a wait, interrupted", code(interrupted))
