"""Reports what an execution changed in the home. The helper compares the files, and is asked as seldom as possible.

The agent sees in the helper's inotify whether there may be changes at all, without asking the helper. So code that
changes nothing costs two system calls. The look after one execution also serves as the look before the next one.
Changes that the API made in between are left out.

Executions may run at the same time. Nobody knows which of them made a change, so each reports all changes, as shared.

States: blind --renewed--> seeing --look--> seeing. Any failure makes it blind, with a reason.
"""

from __future__ import annotations

import asyncio
from functools import partial

from cellhouse_agent.files.helper import FileRefused, FilesHelper
from cellhouse_agent.home_signs import HomeSigns
from cellhouse_agent.look import Look
from cellhouse_agent.other_code import OtherCode
from cellhouse_agent.wire import JsonObject

# A look takes some milliseconds. On a machine that is too busy for it, the end of an execution waits only this long.
LOOK_TIMEOUT_SECONDS = 1.0
# A home with too many entries is looked at again no more often than this.
RENEW_PAUSE_SECONDS = 1.0


class HomeWatch:
    """Watches one worker's home. `begin` opens a Look before an execution; `end`, `look` or `lose` closes it."""

    def __init__(self, helper: FilesHelper) -> None:
        self._helper = helper
        self._loop = asyncio.get_running_loop()
        self._other_code = OtherCode()
        # The Looks of the running executions.
        self._open: set[Look] = set()
        # Why there is no last look to compare with; None if there is one.
        self._blind: str | None = "helper_away"
        self._signs = HomeSigns()
        # How many looks have begun.
        self._looks = 0
        # The helper's count of API changes at the last look. If the count is higher now, the helper has taken events
        # from inotify's queue.
        self._looked_at_api_change = 0
        # The helper is asked one question at a time.
        self._question = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._must_renew_again = False
        self._is_closed = False
        self._renewed_at = -RENEW_PAUSE_SECONDS
        # A killed kernel may have changed something after its execution's report.
        self._has_lost = False
        # A fresh helper has seen nothing yet.
        helper.on_ready = self.renew
        helper.on_ended = partial(self._set_blind, "helper_away")

    @property
    def is_renewing(self) -> bool:
        """Whether the next execution should wait for `renewed`, so that its changes can be reported."""
        return self._renewal is not None

    async def renewed(self) -> None:
        """Return when no renewal is under way."""
        while self._renewal:
            await asyncio.wait([self._renewal])

    def begin(self, kernels: frozenset[int | None]) -> Look:
        """An execution is about to begin. `kernels`: the processes of its own kernel and of those that run no code."""
        # Code that has changed something since the last look may still be running.
        is_shared = (
            bool(self._open)
            or (self._blind is None and self._signs.any())
            or self._helper.is_changing
            or self._other_code.runs_beside(kernels)
        )
        self._share()
        look = Look(self._blind, is_shared, self._helper.changes)
        self._open.add(look)
        return look

    def end(self, look: Look, has_other_code: bool) -> JsonObject | None:
        """What the execution changed; None if `look` must find out.

        `has_other_code`: threads or tasks of earlier code ran in its kernel.
        """
        look.is_shared = look.is_shared or has_other_code or self._has_api_changed(look)
        if look.reason is not None:
            self._open.discard(look)
            self._renew_if_useful()
            return look.report()
        must_look = self._helper.changes != self._looked_at_api_change
        if not self._signs.are_seen or must_look or self._question.locked() or self._signs.any():
            return None
        self._open.discard(look)
        return look.report()

    async def look(self, look: Look) -> JsonObject:
        """What the execution changed, found by a new look. Executions that end together share a look. Never raises."""
        begun = self._looks
        async with self._question:
            if look.reason is None and self._looks == begun:
                await self._tell_changes()
        look.is_shared = look.is_shared or self._has_api_changed(look)
        self._open.discard(look)
        return look.report()

    def lose(self, look: Look) -> JsonObject:
        """What the execution changed is unknown: its kernel is being killed, and may change more until it is dead."""
        look.lose("kernel_replaced")
        self._open.discard(look)
        self._has_lost = True
        if not self._open:
            self._blind = "kernel_replaced"
        return look.report()

    def kernel_began(self) -> None:
        """A lane's first kernel has made its own folders."""
        self._share()
        self.renew()

    def settle(self) -> None:
        """All processes of a lost kernel have ended, and the next one has made its own folders."""
        self._share()
        if self._blind or self._has_lost:
            self.renew()
        self._has_lost = False

    def renew(self) -> None:
        """Take a fresh look in the background. Running executions get the changes so far. Nothing after `close`."""
        if self._is_closed:
            return
        self._must_renew_again = self._renewal is not None
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())

    async def close(self) -> None:
        """Renew no more."""
        self._is_closed = True
        if self._renewal:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
            # A task that is cancelled before it begins does not do this itself.
            self._renewal = None
        self._signs.set(None)

    def _share(self) -> None:
        """Mark all open Looks as shared: from now on, others may change something, too."""
        for look in self._open:
            look.is_shared = True

    def _set_blind(self, reason: str) -> None:
        self._blind = reason
        for look in self._open:
            look.lose(reason)

    async def _tell_changes(self) -> None:
        """Tell every open Look what has changed since the last one. Never raises."""
        self._looks += 1
        self._looked_at_api_change = self._helper.changes
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS):
                answer = await self._helper.ask("look_for_changes", {})
        except (FileRefused, TimeoutError):
            self._set_blind("helper_away")
            self.renew()
            return
        fields = answer.fields
        if not fields["is_watched"]:
            self._signs.set(None)
        for look in self._open:
            look.add(fields["changes"], fields["reason"])
        if not fields["is_known"]:
            self._blind = str(fields["reason"])
            self.renew()

    async def _renew(self) -> None:
        try:
            async with self._question:
                if self._blind is None and self._open:
                    await self._tell_changes()
                else:
                    await self._look_at_all()
        finally:
            self._renewal = None
            if self._must_renew_again:
                self.renew()

    async def _look_at_all(self) -> None:
        """Look at everything without comparing: open Looks, if there are any, cannot report changes anyway."""
        try:
            self._renewed_at = self._loop.time()
            self._looked_at_api_change = self._helper.changes
            async with asyncio.timeout(LOOK_TIMEOUT_SECONDS):
                answer = await self._helper.ask("renew_look", {})
            self._signs.set(answer.descriptor)
            self._blind = answer.fields["reason"]
        except (FileRefused, TimeoutError):
            self._blind = "helper_away"

    def _renew_if_useful(self) -> None:
        """Renew if that may help: if there were too many entries, a change since then may have left fewer."""
        is_due = self._loop.time() >= self._renewed_at + RENEW_PAUSE_SECONDS
        # If there is a usable look by now, it was made in the middle of the execution.
        if self._blind is None or (is_due and (not self._signs.are_seen or self._signs.any())):
            self.renew()

    def _has_api_changed(self, look: Look) -> bool:
        """Whether the API changed something while the execution ran."""
        return self._helper.changes != look.began_at or self._helper.is_changing
