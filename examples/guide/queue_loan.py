# SPDX-License-Identifier: MIT
"""A child sends three pictures of a megabyte: pickled, written
to a pipe, read and unpickled.
"""
from multiprocessing import Process, Queue

SIZE = 1 << 20


def draw(pictures):
    for i in range(1, 4):
        pictures.put(bytes([i]) * SIZE)
    pictures.put(None)


if __name__ == "__main__":
    pictures = Queue(maxsize=2)
    painter = Process(target=draw, args=(pictures,))
    painter.start()

    while (picture := pictures.get()) is not None:
        length = len(picture)
        print(f"{length} pixels of colour {picture[length // 2]}")

    painter.join()
