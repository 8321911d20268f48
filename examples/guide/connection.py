# SPDX-License-Identifier: MIT
"""A child is given an open file over a connection, counts its
lines and answers.
"""
import os
import tempfile
from multiprocessing import BufferTooShort, Pipe, Process
from multiprocessing.reduction import recv_handle, send_handle


def count_lines(connection):
    with os.fdopen(recv_handle(connection)) as file:
        lines = len(file.readlines())
    answer = f"the file that I was given has {lines} lines"
    connection.send_bytes(answer.encode())


if __name__ == "__main__":
    mine, childs = Pipe()
    child = Process(target=count_lines, args=(childs,))
    child.start()
    childs.close()

    with tempfile.TemporaryFile() as file:
        file.write(b"one\ntwo\nthree\n")
        file.seek(0)
        send_handle(mine, file.fileno(), child.pid)
        # the child gets a descriptor of its own

    small = bytearray(8)
    try:
        mine.recv_bytes_into(small)
    except BufferTooShort as error:
        (text,) = error.args  # it carries what did not fit
    print(f"{len(text)} bytes do not fit into {len(small)}")
    print(text.decode())

    child.join()
    child.close()
    mine.close()
