"""Says what an execution changed in the home: the helper compares, and this class asks it as seldom as possible.

The helper's inotify tells without a question whether there may be changes at all, so code that changes nothing costs
two system calls. The look before an execution is the look after the one before, less what the API changed.

States: blind --renewed--> seeing --look--> seeing. Whatever goes wrong makes it blind, with the reason.
"""

from __future__ import annotations

import asyncio

from cellhouse_agent.files.helper import FileRefused, FilesHelper, close_descriptor
from cellhouse_agent.other_code import OtherCode
from cellhouse_agent.wire import Json, JsonObject
from cellhouse_files.inotify import queued_bytes

# A look takes some milliseconds. On a machine that is too busy for it, the code's end does not wait for ever.
LOOK_TIMEOUT_SECONDS = 1.0
# A home with too many entries is looked at again no more often than this.
RENEW_PAUSE_SECONDS = 1.0


class HomeWatch:
    """Of one worker. `begin` before each execution, then `end` or `look` after it."""

    def __init__(self, helper: FilesHelper) -> None:
        self._helper = helper
        self._loop = asyncio.get_running_loop()
        self._other_code = OtherCode()
        # Why there is no last look; None if there is one.
        self._blind: str | None = "helper_away"
        # Readable if something may have changed since the last look. None if nobody can tell.
        self._signal: int | None = None
        # How much the API had changed at the last look. If it is more, the helper has taken signs from the queue.
        self._looked_at_api_change = 0
        self._renewal: asyncio.Task[None] | None = None
        self._must_renew_again = False
        self._renewed_at = -RENEW_PAUSE_SECONDS
        self._began_at_api_change = 0
        self._is_shared = False
        self._was_blind: str | None = None
        # A fresh helper has seen nothing yet.
        helper.on_ready = self.renew
        helper.on_ended = self._set_away

    @property
    def is_renewing(self) -> bool:
        """Whether the next execution should wait for `renewed`, so that its changes can be told."""
        return self._renewal is not None

    async def renewed(self) -> None:
        """Return when no renewal is under way."""
        if self._renewal:
            await asyncio.wait([self._renewal])

    def begin(self, kernel_pid: int | None) -> None:
        """An execution is about to begin in this kernel."""
        self._was_blind = self._blind
        self._began_at_api_change = self._helper.changes
        # Whoever changed something since the last look may go on.
        self._is_shared = (
            (self._blind is None and self._has_signs())
            or self._helper.is_changing
            or self._other_code.runs_beside(kernel_pid)
        )

    def end(self, has_other_code: bool) -> JsonObject | None:
        """What it changed, if no look is needed. `has_other_code`: threads of earlier code ran in its kernel."""
        self._is_shared = self._is_shared or has_other_code or self._has_api_changed()
        must_look = self._helper.changes != self._looked_at_api_change
        if self._was_blind or self._blind:
            reason = self._was_blind or self._blind or ""
            self._renew_if_useful()
            return self._report(None, reason)
        if self._signal is None or must_look or self._has_signs():
            return None
        return self._report([], None)

    async def look(self) -> JsonObject:
        """What it changed, by a look. Never raises."""
        self._looked_at_api_change = self._helper.changes
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS):
                answer = await self._helper.ask("look_for_changes", {})
        except (FileRefused, TimeoutError):
            self._blind = "helper_away"
            self.renew()
            return self._report(None, self._blind)
        fields = answer.fields
        if not fields["is_watched"]:
            self._set_signal(None)
        if not fields["is_known"]:
            self._blind = str(fields["reason"])
            self.renew()
        self._is_shared = self._is_shared or self._has_api_changed()
        return self._report(fields["changes"], fields["reason"])

    def lose(self) -> JsonObject:
        """What it changed is unknown: its kernel is being killed, and may change more until that is done."""
        self._blind = "kernel_replaced"
        return self._report(None, self._blind)

    def settle(self) -> None:
        """All processes of the lost kernel have ended, and the next one has made its own folders."""
        if self._blind:
            self.renew()

    def renew(self) -> None:
        """Look at everything anew, in the background."""
        self._must_renew_again = self._renewal is not None
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())

    async def close(self) -> None:
        """Ask nothing any more."""
        if self._renewal:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
        self._set_signal(None)

    def _set_away(self) -> None:
        self._blind = "helper_away"

    async def _renew(self) -> None:
        try:
            self._renewed_at = self._loop.time()
            self._looked_at_api_change = self._helper.changes
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS):
                answer = await self._helper.ask("renew_look", {})
            self._set_signal(answer.descriptor)
            self._blind = answer.fields["reason"]
        except (FileRefused, TimeoutError):
            self._blind = "helper_away"
        finally:
            self._renewal = None
            if self._must_renew_again:
                self.renew()

    def _renew_if_useful(self) -> None:
        """Something has changed since there were too many entries, so there may be fewer now."""
        is_due = self._loop.time() >= self._renewed_at + RENEW_PAUSE_SECONDS
        # If it sees again, it has since the middle of the execution.
        if self._blind is None or (is_due and (self._signal is None or self._has_signs())):
            self.renew()

    def _has_signs(self) -> bool:
        return self._signal is not None and queued_bytes(self._signal) > 0

    def _has_api_changed(self) -> bool:
        """Whether the API changed something while the execution ran."""
        return self._helper.changes != self._began_at_api_change or self._helper.is_changing

    def _set_signal(self, descriptor: int | None) -> None:
        close_descriptor(self._signal)
        self._signal = descriptor

    def _report(self, changes: list[Json] | None, reason: str | None) -> JsonObject:
        return {"changes": changes, "reason": reason, "shared": self._is_shared}
