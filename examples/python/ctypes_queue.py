#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""libmproc from Python by ctypes: queues, a lock and a shared number between forked processes."""
import ctypes
import math
import os
import signal
import traceback

lib = ctypes.CDLL("libmproc.so.0")

FOREVER, NO_WAIT = math.inf, -1.0
OWNERDEAD = 1  # a success; mproc/error.h has all codes, and their numbers stay

# Without argtypes ctypes would pass a pointer as an int, and take every result for one.
handle, size, code, seconds = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_double
for name, result, arguments in [
    ("mp_queue_create", code, [ctypes.POINTER(handle), handle]),
    ("mp_queue_put", code, [handle, ctypes.c_char_p, size, seconds]),
    ("mp_queue_get", ctypes.c_ssize_t, [handle, ctypes.c_char_p, size, seconds]),
    ("mp_queue_free", None, [handle]),
    ("mp_lock_create", code, [ctypes.POINTER(handle), handle]),
    ("mp_lock_acquire", code, [handle, seconds]),
    ("mp_lock_release", code, [handle]),
    ("mp_lock_free", None, [handle]),
    ("mp_shared_calloc", handle, [size, size]),
    ("mp_shared_free", None, [handle]),
    ("mp_shared_error", code, []),
    ("mp_errname", ctypes.c_char_p, [code]),
    ("mp_strerror", ctypes.c_char_p, [code]),
]:
    function = getattr(lib, name)
    function.restype, function.argtypes = result, arguments


class Error(Exception):
    """A negative code of the library."""

    def __init__(self, number):
        super().__init__(f"{lib.mp_errname(number).decode()}: {lib.mp_strerror(number).decode()}")
        self.code = number


def check(number):
    """A result >= 0; for a code, raises Error."""
    if number < 0:
        raise Error(number)
    return number


def create(function):
    """A new object, with the default options."""
    made = handle()
    check(function(ctypes.byref(made), None))
    return made


def put(queue, text):
    data = text.encode()
    check(lib.mp_queue_put(queue, data, len(data), FOREVER))


def get(queue, timeout=FOREVER):
    buffer = ctypes.create_string_buffer(1000)
    length = check(lib.mp_queue_get(queue, buffer, len(buffer), timeout))
    return buffer.raw[:length].decode()


def start(function, *arguments):
    """The id of a forked process that runs the function, and leaves without Python's clean-up."""
    pid = os.fork()
    if pid != 0:
        return pid
    try:
        function(*arguments)
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def work(tasks, results, lock, total):
    while (task := get(tasks)) != "":
        square = int(task) ** 2
        check(lib.mp_lock_acquire(lock, FOREVER))
        total.value += square
        check(lib.mp_lock_release(lock))
        put(results, f"{task} squared is {square}")


def die_with(lock):
    check(lib.mp_lock_acquire(lock, FOREVER))
    os.kill(os.getpid(), signal.SIGKILL)


def main():
    # All that is shared is made before the processes that share it.
    tasks, results, lock = create(lib.mp_queue_create), create(lib.mp_queue_create), create(lib.mp_lock_create)
    block = lib.mp_shared_calloc(1, ctypes.sizeof(ctypes.c_long))
    if block is None:
        raise Error(lib.mp_shared_error())
    total = ctypes.c_long.from_address(block)

    workers = [start(work, tasks, results, lock, total) for _ in range(3)]
    for number in range(1, 6):
        put(tasks, str(number))
    for _ in workers:
        put(tasks, "")
    print("\n".join(sorted(get(results) for _ in range(5))))
    for pid in workers:
        os.waitpid(pid, 0)
    print("the sum is", total.value)

    try:
        get(results, NO_WAIT)
    except Error as error:
        print("nothing left:", error)

    os.waitpid(start(die_with, lock), 0)
    if check(lib.mp_lock_acquire(lock, FOREVER)) == OWNERDEAD:
        print("the lock's last owner died; the lock is ours")
    check(lib.mp_lock_release(lock))

    total = None  # the block goes, so nothing may look at it
    lib.mp_shared_free(block)
    lib.mp_lock_free(lock)
    lib.mp_queue_free(tasks)
    lib.mp_queue_free(results)


main()
