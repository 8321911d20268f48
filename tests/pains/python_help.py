# SPDX-License-Identifier: MIT
"""What Python's pains share: children, and hangs that are an observation like any other."""
import multiprocessing as mp
import os
import signal
import subprocess
import sys
import threading


def forked(target, *args):
    child = mp.get_context("fork").Process(target=target, args=args)
    child.start()
    return child


def outcome(call, *args):
    """What call returns, or the name of what it raises."""
    try:
        return call(*args)
    except Exception as error:  # pylint: disable=broad-except
        return type(error).__name__


def within(seconds, call, *args):
    """The outcome, or "hangs" when it takes longer: it runs in a thread that is given up."""
    result = []
    thread = threading.Thread(target=lambda: result.append(outcome(call, *args)), daemon=True)
    thread.start()
    thread.join(seconds)
    return result[0] if result else "hangs"


def kill(child, how=signal.SIGKILL):
    os.kill(child.pid, how)
    child.join()


def until_asleep(pid):
    while True:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            if stat.read().rsplit(")", 1)[1].split()[0] == "S":
                return


def in_new_python(code):
    """Runs code in an unrelated interpreter; what it wrote to standard error."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.returncode, done.stderr
