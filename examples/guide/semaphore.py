# SPDX-License-Identifier: MIT
"""Six processes print pages, on two printers."""
from multiprocessing import Process, Semaphore, Value


def print_pages(printers, pages, printing, crowded):
    for _ in range(50):
        with printers:
            with printing.get_lock():
                printing.value += 1
                if printing.value > 2:
                    crowded.value = True
            with pages.get_lock():
                pages.value += 1
            with printing.get_lock():
                printing.value -= 1


if __name__ == "__main__":
    printers = Semaphore(2)
    pages, printing = Value("i", 0), Value("i", 0)
    crowded = Value("b", False)
    args = (printers, pages, printing, crowded)
    processes = [
        Process(target=print_pages, args=args) for _ in range(6)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    most = "more than" if crowded.value else "at most"
    print(f"{pages.value} pages, {most} two at a time")
