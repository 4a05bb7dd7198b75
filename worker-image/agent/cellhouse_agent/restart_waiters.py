"""The callers that wait for a fresh kernel."""

from __future__ import annotations

import asyncio


class RestartWaiters:
    """Requests for a fresh kernel, from when they come until it is ready."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[int]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self) -> asyncio.Future[int]:
        """Ask for a fresh kernel; the result is the kernel's generation."""
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        return waiter

    def take(self) -> list[asyncio.Future[int]]:
        """Take the callers that the next kernel serves; later ones wait for the kernel after it."""
        taken, self._waiting = self._waiting, []
        return taken
