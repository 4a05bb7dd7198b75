"""Lets time pass at a word, so that a test of a limit waits for the code, and the limit for the test.

A limit of some hundred milliseconds is over before code has begun if the machine is busy. So such code has a limit of
LIMIT_MS, and its test lets that pass when the code says that it is where the limit is to hit it.
"""

import asyncio

# No code of a test takes so long to begin. The agent waits longer for each process of its own, so none of them is late
# because of `pass_limit`.
LIMIT_MS = 20_000


def pass_limit() -> None:
    """From now on, it is LIMIT_MS later for all that waits in this event loop."""
    loop = asyncio.get_running_loop()
    before = loop.time
    # mypy takes the clock for a method that stays what it is.
    setattr(loop, "time", lambda: before() + LIMIT_MS / 1000)
