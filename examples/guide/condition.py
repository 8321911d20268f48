# SPDX-License-Identifier: MIT
"""One process waits for enough money, another one pays it in."""
from multiprocessing import Condition, Process, RawValue


def buy(changed, balance):
    def enough():
        return balance.value >= 100

    with changed:
        if not changed.wait_for(enough, timeout=60):
            raise TimeoutError
        balance.value -= 100
        print(f"bought, {balance.value} left", flush=True)


if __name__ == "__main__":
    changed = Condition()  # its lock guards balance
    balance = RawValue("l", 0)
    buyer = Process(target=buy, args=(changed, balance))
    buyer.start()
    for paid in 30, 40, 50:
        with changed:
            balance.value += paid
            print(f"paid {paid}", flush=True)
            changed.notify_all()
    buyer.join()
