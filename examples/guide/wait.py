# SPDX-License-Identifier: MIT
"""One call waits for a connection, a queue and the end of a
process.
"""
import sys
from multiprocessing import Pipe, Process, Queue, Semaphore
from multiprocessing.connection import wait


def talk(connection, queue, seen):
    connection.send_bytes(b"hello")
    seen.acquire()
    queue.put(42)
    seen.acquire()
    sys.exit(7)


if __name__ == "__main__":
    reader, writer = Pipe(duplex=False)
    queue = Queue()
    seen = Semaphore(0)  # so that one thing happens at a time
    child = Process(target=talk, args=(writer, queue, seen))
    child.start()
    writer.close()

    # A Queue has no public descriptor: _reader is within it.
    watched = [child.sentinel, queue._reader, reader]
    ready = []
    while child.sentinel not in ready:
        ready = wait(watched)
        if queue._reader in ready:
            print(f"the queue holds {queue.get()}")
        if reader in ready:
            try:
                text = reader.recv_bytes().decode()
                print(f"the connection says {text}")
            except EOFError:
                watched.remove(reader)  # it stays readable
        seen.release()
    child.join()
    print(f"the process has ended with {child.exitcode}")
