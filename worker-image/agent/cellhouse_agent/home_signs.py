"""Shows whether the home may have changed: the agent looks at the helper's inotify queue, and takes nothing from it."""

from __future__ import annotations

from cellhouse_agent.files.helper import close_descriptor
from cellhouse_files.inotify import queued_bytes


class HomeSigns:
    """Before the first `set`, and after `set(None)`, nobody can tell whether something may have changed."""

    def __init__(self) -> None:
        self._descriptor: int | None = None

    @property
    def are_seen(self) -> bool:
        """Whether a change would show."""
        return self._descriptor is not None

    def any(self) -> bool:
        """Whether something may have changed since the last look."""
        return self._descriptor is not None and queued_bytes(self._descriptor) > 0

    def set(self, descriptor: int | None) -> None:
        """Look at this from now on, and close it when it is replaced."""
        close_descriptor(self._descriptor)
        self._descriptor = descriptor
