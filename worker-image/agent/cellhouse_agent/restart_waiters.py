"""The callers that wait for a fresh kernel."""

from __future__ import annotations

import asyncio


class NoContext(Exception):
    """There is no such context, or it has just ended."""


class NoKernel(Exception):
    """No kernel can be started: the limit of processes or of memory is reached."""


class RestartWaiters:
    """Requests for a fresh kernel, from when they come until it is ready."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[int]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self) -> asyncio.Future[int]:
        """Ask for a fresh kernel. The result is the kernel's generation, or NoContext, or NoKernel."""
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return waiter

    def answer(self, generation: int) -> None:
        """The fresh kernel is ready."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(generation)
        self._waiting = []

    def refuse(self, error: NoContext | NoKernel) -> None:
        """Refuse all callers: no fresh kernel will come."""
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(error)
        self._waiting = []
