"""Who may use this worker's files: any gateway that knows the worker's session id and the agent's boot id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cellhouse_agent.files.helper import FileRefused

# Each operation takes a connection and a descriptor or two. One whose client has stopped reading counts until it is
# cut.
MAX_PARALLEL = 32


class OtherWorker(Exception):
    """The caller means another worker, or an earlier start of this one; `reason` is the error of the answer."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FilesAccess:
    """Checks callers. The first session id that a caller names is the worker's for ever."""

    def __init__(self, boot_id: str) -> None:
        self._boot_id = boot_id
        self._session_id: str | None = None
        self._parallel = 0

    def check(self, session_id: str, boot_id: str) -> None:
        """Raises OtherWorker."""
        if boot_id != self._boot_id:
            raise OtherWorker("other_boot")
        self._session_id = self._session_id or session_id
        if session_id != self._session_id:
            raise OtherWorker("other_session")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """One operation under way; raises FileRefused when there are too many."""
        if self._parallel >= MAX_PARALLEL:
            raise FileRefused("busy", f"At most {MAX_PARALLEL} file operations run at once.")
        self._parallel += 1
        try:
            yield
        finally:
            self._parallel -= 1
