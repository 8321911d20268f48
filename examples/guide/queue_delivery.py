# SPDX-License-Identifier: MIT
"""A worker is killed with a job in its hands; another gets that
job, and join sees all done.
"""
import os
import signal
from multiprocessing import JoinableQueue, Process, Value


def die_at_work(jobs, in_hand):
    job = jobs.get()
    in_hand.value = job  # for whoever finds us dead
    print(f"the first worker gets job {job}, and dies", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


def work(jobs):
    total = 0
    while (job := jobs.get()) is not None:
        total += job
        jobs.task_done()
    print(f"the second worker has done jobs that make {total}")


if __name__ == "__main__":
    jobs = JoinableQueue()
    in_hand = Value("i", 0, lock=False)
    for job in range(1, 6):
        jobs.put(job)

    first = Process(target=die_at_work, args=(jobs, in_hand))
    first.start()
    first.join()
    if first.exitcode != 0 and in_hand.value != 0:
        jobs.put(in_hand.value)
        jobs.task_done()  # in its name, or join() hangs

    second = Process(target=work, args=(jobs,))
    second.start()
    jobs.join()
    print("all jobs are done", flush=True)
    jobs.put(None)
    second.join()
