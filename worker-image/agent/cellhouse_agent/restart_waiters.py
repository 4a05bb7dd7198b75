"""Who waits for a fresh kernel. A request that comes again waits with the first, or hears what it has heard."""

from __future__ import annotations

import asyncio

# Requests that are remembered. A gateway asks again only while it has not recorded the restart, so these are many.
MAX_REMEMBERED = 1_000


class RestartWaiters:
    """Requests for a fresh kernel, from when they come until it is ready, and which were served."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[int]] = []
        self._by_id: dict[str, asyncio.Future[int]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def add(self, request_id: str | None) -> asyncio.Future[int]:
        """Ask for a fresh kernel, unless this very request did; the result is the kernel's generation."""
        known = self._by_id.get(request_id) if request_id else None
        if known:
            return known
        waiter: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        if request_id:
            self._by_id[request_id] = waiter
            if len(self._by_id) > MAX_REMEMBERED:
                del self._by_id[next(iter(self._by_id))]
        return waiter

    def take(self) -> list[asyncio.Future[int]]:
        """Those whom the next kernel serves; who comes later waits for another."""
        taken, self._waiting = self._waiting, []
        return taken
