# SPDX-License-Identifier: MIT
"""A block of memory that another program finds by its name."""
from multiprocessing import Process
from multiprocessing.shared_memory import SharedMemory


def text_of(block):
    return bytes(block.buf).split(b"\0")[0].decode()


# It could be any program of this user, also one in C.
def other_program(name):
    block = SharedMemory(name)
    print(f"the other reads: {text_of(block)}", flush=True)
    block.buf[:10] = b"thank you\0"
    block.close()


if __name__ == "__main__":
    # The name is made up; name= chooses one.
    block = SharedMemory(create=True, size=100)
    block.buf[:13] = b"good morning\0"

    other = Process(target=other_program, args=(block.name,))
    other.start()
    other.join()
    print(f"the answer: {text_of(block)}")

    block.unlink()
    try:
        SharedMemory(block.name)
    except FileNotFoundError:
        print("unlinked: nobody finds it any more")
    print(f"who has it keeps it: {text_of(block)}")
    block.close()
