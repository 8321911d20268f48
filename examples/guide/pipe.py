# SPDX-License-Identifier: MIT
"""A child sends three messages and is killed: they arrive, and
then the end of file.
"""
import os
import signal
from multiprocessing import Pipe, Process


def send_three(reader, writer):
    reader.close()  # each closes the end that it does not use

    for i in range(1, 4):
        writer.send_bytes(f"message {i}".encode())
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    reader, writer = Pipe(duplex=False)
    child = Process(target=send_three, args=(reader, writer))
    child.start()
    writer.close()  # or the end of file would never come

    try:
        while True:
            print(reader.recv_bytes().decode())
    except EOFError:
        pass

    child.join()
    print(f"end of file, exit code {child.exitcode}")
    reader.close()
    child.close()
