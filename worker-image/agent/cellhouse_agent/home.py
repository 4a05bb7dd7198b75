"""Reports the changes of an execution in the home. The helper compares the files, and is asked as seldom as possible.

The agent sees in the helper's inotify whether there may be changes at all, without asking the helper. So code that
changes nothing costs three system calls: two look at inotify's queue, and one reads the number of processes. The scan
after one execution also serves as the scan before the next one. Changes that the API made in between are left out.

Executions may run at the same time. Nobody knows which of them made a change, so each reports all changes, as shared.

States: blind (no scan to compare with) --renewed--> seeing --scan--> seeing. Any failure makes it blind, with a reason.
"""

from __future__ import annotations

import asyncio
import json
from functools import partial
from pathlib import Path

from cellhouse_agent.files.helper import FileRefused, FilesHelper, close_descriptor
from cellhouse_agent.json_values import Json, JsonObject
from cellhouse_agent.processes.user_processes import user_processes
from cellhouse_agent.usage.container import CGROUP_ROOT, CounterFile
from cellhouse_files.home_changes import MAX_CHANGES, MAX_CHANGES_BYTES
from cellhouse_files.inotify import queued_bytes

# A scan takes a few milliseconds. On a machine that is too busy for it, the end of an execution waits only this long.
SCAN_TIMEOUT_SECONDS = 1.0
# A home with too many entries is scanned again no more often than this.
RENEW_PAUSE_SECONDS = 1.0


class HomeWatch:
    """Watches one worker's home. `begin` opens the HomeChanges of an execution; `end`, `scan` or `lose` closes them."""

    def __init__(self, helper: FilesHelper) -> None:
        self._helper = helper
        self._loop = asyncio.get_running_loop()
        self._other_code = OtherCode()
        # The changes of the running executions.
        self._open: set[HomeChanges] = set()
        # Why there is no last scan to compare with; None if there is one.
        self._blind: str | None = "helper_away"
        self._signs = HomeSigns()
        # How many comparing scans have begun.
        self._scans = 0
        # The helper's count of API changes at the last scan. If it is higher now, an empty queue proves nothing: the
        # helper has read it.
        self._scanned_at_api_change = 0
        # The helper is asked one question at a time.
        self._question = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._must_renew_again = False
        self._is_closed = False
        self._renewed_at = -RENEW_PAUSE_SECONDS
        # Whether a killed kernel may have changed something after its report.
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

    def begin(self, kernels: frozenset[int | None]) -> HomeChanges:
        """An execution is about to begin. `kernels`: the processes of its own kernel and of those that run no code."""
        # Code that has changed something since the last scan may still be running.
        is_shared = (
            bool(self._open)
            or (self._blind is None and self._signs.any())
            or self._helper.is_changing
            or self._other_code.runs_beside(kernels)
        )
        self._share()
        changes = HomeChanges(self._blind, is_shared, self._helper.changes)
        self._open.add(changes)
        return changes

    def end(self, changes: HomeChanges, has_other_code: bool) -> JsonObject | None:
        """The changes of the execution; None if `scan` must find them.

        `has_other_code`: threads or tasks of earlier code ran in its kernel.
        """
        changes.is_shared = changes.is_shared or has_other_code or self._has_api_changed(changes)
        if changes.reason is not None:
            self._open.discard(changes)
            self._renew_if_useful()
            return changes.report()
        must_scan = self._helper.changes != self._scanned_at_api_change
        if not self._signs.are_seen or must_scan or self._question.locked() or self._signs.any():
            return None
        self._open.discard(changes)
        return changes.report()

    async def scan(self, changes: HomeChanges) -> JsonObject:
        """The execution's changes, found by a new scan. Executions that end together share a scan. Never raises."""
        begun = self._scans
        async with self._question:
            if changes.reason is None and self._scans == begun:
                await self._tell_changes()
        changes.is_shared = changes.is_shared or self._has_api_changed(changes)
        self._open.discard(changes)
        return changes.report()

    def lose(self, changes: HomeChanges) -> JsonObject:
        """The execution's changes are unknown: its kernel is being killed, and may change more until it is dead."""
        changes.lose("kernel_replaced")
        self._open.discard(changes)
        self._has_lost = True
        if not self._open:
            self._blind = "kernel_replaced"
        return changes.report()

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
        """Scan the home afresh in the background, but not after `close`. Open HomeChanges get the changes so far."""
        if self._is_closed:
            return
        self._must_renew_again = self._renewal is not None
        if self._renewal is None:
            self._renewal = asyncio.create_task(self._renew())

    async def close(self) -> None:
        """Stop renewing."""
        self._is_closed = True
        if self._renewal:
            self._renewal.cancel()
            await asyncio.wait([self._renewal])
            # A task that is cancelled before it begins does not do this itself.
            self._renewal = None
        self._signs.set(None)

    def _share(self) -> None:
        """Mark all open HomeChanges as shared: from now on, others may change something, too."""
        for changes in self._open:
            changes.is_shared = True

    def _set_blind(self, reason: str) -> None:
        self._blind = reason
        for changes in self._open:
            changes.lose(reason)

    async def _tell_changes(self) -> None:
        """Scan, and add the changes since the last scan to every open HomeChanges. Never raises."""
        self._scans += 1
        self._scanned_at_api_change = self._helper.changes
        try:
            async with asyncio.timeout(SCAN_TIMEOUT_SECONDS):
                answer = await self._helper.ask("look_for_changes", {})
        except (FileRefused, TimeoutError):
            self._set_blind("helper_away")
            self.renew()
            return
        fields = answer.fields
        if not fields["is_watched"]:
            self._signs.set(None)
        for changes in self._open:
            changes.add(fields["changes"], fields["reason"])
        if not fields["is_known"]:
            self._blind = str(fields["reason"])
            self.renew()

    async def _renew(self) -> None:
        try:
            async with self._question:
                if self._blind is None and self._open:
                    await self._tell_changes()
                else:
                    await self._scan_all()
        finally:
            self._renewal = None
            if self._must_renew_again:
                self.renew()

    async def _scan_all(self) -> None:
        """Scan everything without comparing: open HomeChanges, if there are any, cannot report changes anyway."""
        try:
            self._renewed_at = self._loop.time()
            self._scanned_at_api_change = self._helper.changes
            async with asyncio.timeout(SCAN_TIMEOUT_SECONDS):
                answer = await self._helper.ask("renew_look", {})
            self._signs.set(answer.descriptor)
            self._blind = answer.fields["reason"]
        except (FileRefused, TimeoutError):
            self._blind = "helper_away"

    def _renew_if_useful(self) -> None:
        """Renew if that may help: if there were too many entries, a change since then may have left fewer."""
        is_due = self._loop.time() >= self._renewed_at + RENEW_PAUSE_SECONDS
        # Also after a scan during the execution: the next one must not report this one's later changes.
        if self._blind is None or (is_due and (not self._signs.are_seen or self._signs.any())):
            self.renew()

    def _has_api_changed(self, changes: HomeChanges) -> bool:
        """Whether the API changed something while the execution ran."""
        return self._helper.changes != changes.began_at or self._helper.is_changing


# The result of two changes of one path. For any other pair, it is the later change. None: made and removed again.
TOGETHER: dict[tuple[Json, Json], str | None] = {
    ("created", "modified"): "created",
    ("created", "deleted"): None,
    ("deleted", "created"): "modified",
}


class HomeChanges:
    """The changes of one execution in the home, put together from all scans that are made while it runs.

    While it is open, until the report, it gets the changes that every scan finds.
    """

    def __init__(self, reason: str | None, is_shared: bool, api_changes: int) -> None:
        # Why the changes are unknown; None if they are known.
        self.reason = reason
        # Whether others may have made some of the changes.
        self.is_shared = is_shared
        # The helper's count of API changes when it was opened.
        self.began_at = api_changes
        self._changes: list[JsonObject] = []

    def lose(self, reason: str) -> None:
        """From now on, the changes are unknown. The first reason is kept."""
        self.reason = self.reason or reason

    def add(self, changes: list[JsonObject] | None, reason: str | None) -> None:
        """Add the changes that a scan found, or the reason why they are unknown."""
        if changes is None:
            self.lose(reason or "")
        elif not self._changes:
            # The usual case. The helper checked the limits.
            self._changes = changes
        else:
            self._changes = merged(self._changes, changes)
            size = len(json.dumps(self._changes))
            if len(self._changes) > MAX_CHANGES or size > MAX_CHANGES_BYTES:
                self._changes = []
                self.lose("too_many_changes")

    def report(self) -> JsonObject:
        """`files` as in docs/internals/worker-protocol.md."""
        changes: list[Json] | None = None if self.reason else [*self._changes]
        return {"changes": changes, "reason": self.reason, "shared": self.is_shared}


def merged(earlier: list[JsonObject], later: list[JsonObject]) -> list[JsonObject]:
    """The changes of two scans, one after the other, as one scan would have found them. Sorted by path."""
    by_path = {str(change["path"]): change for change in earlier}
    for change in later:
        path = str(change["path"])
        before = by_path.pop(path, None)
        kinds = (before["change"] if before else None, change["change"])
        kind = TOGETHER.get(kinds, change["change"])
        if kind:
            by_path[path] = {**change, "change": kind}
    return [change for _, change in sorted(by_path.items())]


class HomeSigns:
    """Shows whether the home may have changed: looks at the helper's inotify queue, and takes nothing from it.

    Before the first `set`, and after `set(None)`, nobody can tell whether something may have changed.
    """

    def __init__(self) -> None:
        self._descriptor: int | None = None

    @property
    def are_seen(self) -> bool:
        """Whether a change would show."""
        return self._descriptor is not None

    def any(self) -> bool:
        """Whether something may have changed since the last scan."""
        return self._descriptor is not None and queued_bytes(self._descriptor) > 0

    def set(self, descriptor: int | None) -> None:
        """Look at this descriptor from now on, and close it when another replaces it."""
        close_descriptor(self._descriptor)
        self._descriptor = descriptor


# The number of processes and threads in the container: control groups version 1 (gVisor has this, too), and version 2.
COUNTS = (CGROUP_ROOT / "pids" / "pids.current", CGROUP_ROOT / "pids.current")


class OtherCode:
    """Knows whether processes of earlier code still run when new code begins.

    Looking at all processes takes a tenth of a millisecond, so it is left out while the number of processes and threads
    stays the same. A process that appears just when a thread of a library ends is missed until that number changes.
    """

    def __init__(self, counts: tuple[Path, ...] = COUNTS) -> None:
        present = [path for path in counts if path.exists()]
        self._count = CounterFile(present[0]) if present else None
        self._quiet: tuple[frozenset[int | None], str] | None = None

    def runs_beside(self, kernels: frozenset[int | None]) -> bool:
        """Whether the user has a process other than these kernels."""
        counted = (kernels, self._count.read_text() if self._count else "")
        if counted == self._quiet and counted[1]:
            return False
        if any(pid not in kernels for pid in user_processes()):
            return True
        self._quiet = counted
        return False
