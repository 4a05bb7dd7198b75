"""Describes the entry of a path, and lists folders."""

from __future__ import annotations

import base64
import binascii
import heapq
import json
import os
from collections.abc import Container, Generator

from cellhouse_files.entries import entry_at, entry_of
from cellhouse_files.paths import open_folder, open_path, path_field, place_of
from cellhouse_files.refusals import Refused
from cellhouse_files.server import Answer, Fields, State
from cellhouse_files.turns import Turns, Wait

# The limits of one answer. A longer listing comes in pages.
MAX_PAGE_ENTRIES = 1_000
MAX_PAGE_BYTES = 4 * 1_048_576
MAX_DEPTH = 32
# The most names that are looked at for one page, in all its folders together. Each page reads its folders from the
# beginning, so each page takes that time again.
MAX_FOLDER_ENTRIES = 1_000_000
# Looking at this many names takes a few milliseconds: a turn.
ENTRIES_PER_TURN = 2_000


def stat_file(_state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """The entry of a path. For a link, this is the link's own entry or, with `follow`, that of its target."""
    yield from ()
    path = path_field(fields)
    if fields.get("follow") or path == b"/":
        fd = open_path(path, os.O_PATH)
        try:
            return Answer(dict(entry_of(path, os.fstat(fd))))
        finally:
            os.close(fd)
    place = place_of(path)
    try:
        return Answer(dict(entry_at(path, *place)))
    finally:
        os.close(place.folder)


def list_folder(state: State, fields: Fields, _descriptor: int | None) -> Turns[Answer]:
    """One page of a folder's entries, as JSON in a file in memory."""
    path = path_field(fields)
    after = _position(fields.get("after"))
    listing = Listing(path, fields["depth"], after, fields["limit"], hidden=state.parts)
    folder = open_folder(path)
    yield from listing.add_entries(folder, ())
    return Answer.in_memory(listing.page())


def _position(after: str | None) -> tuple[bytes, ...]:
    """The names that lead to the last entry of the page before."""
    if after is None:
        return ()
    try:
        return tuple(base64.urlsafe_b64decode(after).split(b"/"))
    except (binascii.Error, ValueError) as error:
        raise Refused("bad_path", "after is no position of a listing") from error


def position_of(names: tuple[bytes, ...]) -> str:
    """The value of `after` for a page that begins after this entry."""
    return base64.urlsafe_b64encode(b"/".join(names)).decode()


class Listing:
    """Collects a page: folders before their entries, names in the order of their bytes."""

    def __init__(
        self,
        root: bytes,
        depth: int,
        after: tuple[bytes, ...],
        limit: int,
        hidden: Container[bytes],
    ) -> None:
        # Names that are not listed.
        self._hidden = hidden
        self._root = root
        self._depth = min(depth, MAX_DEPTH)
        self._after = after
        self._limit = min(limit, MAX_PAGE_ENTRIES)
        # As JSON.
        self._entries: list[str] = []
        self._bytes = 0
        self._last: tuple[bytes, ...] = ()
        self._is_full = False
        self._looked = 0

    def page(self) -> str:
        """The answer's JSON."""
        position = json.dumps(position_of(self._last) if self._is_full else None)
        return f'{{"entries": [{", ".join(self._entries)}], "next": {position}}}'

    def add_entries(
        self, folder: int, names: tuple[bytes, ...]
    ) -> Generator[Wait | None, None, None]:
        """Add the entries of an open folder, and close the folder."""
        try:
            reading = os.open(b".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            position = self._position_in(names)
            while True:
                # As many names as fit, and two more: the first name may have been on an earlier page, and the last one
                # shows whether more follow.
                count = self._limit - len(self._entries) + 2
                found = yield from self._names_after(reading, position, count)
                for name in found:
                    if self._is_full:
                        return
                    yield from self._add(reading, (*names, name))
                if self._is_full or len(found) < count:
                    return
                # Some of these entries have vanished meanwhile, so the page has room for further names.
                position = found[-1] + b"\0"
        finally:
            os.close(reading)

    def _position_in(self, names: tuple[bytes, ...]) -> bytes:
        """The name in this folder at which the listing goes on."""
        count = len(names)
        return self._after[count] if self._after[:count] == names != self._after else b""

    def _names_after(
        self, reading: int, first: bytes, count: int
    ) -> Generator[Wait | None, None, list[bytes]]:
        """The next `count` names of a folder, sorted."""
        names: list[bytes] = []
        with os.scandir(reading) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                self._looked += 1
                if name >= first and name not in self._hidden:
                    names.append(name)
                if len(names) >= 2 * count + ENTRIES_PER_TURN:
                    names = heapq.nsmallest(count, names)
                if self._looked % ENTRIES_PER_TURN == 0:
                    yield None
                if self._looked > MAX_FOLDER_ENTRIES:
                    raise Refused("too_large", "There are too many entries to look at.")
        return heapq.nsmallest(count, names)

    def _add(self, folder: int, names: tuple[bytes, ...]) -> Generator[Wait | None, None, None]:
        """Add an entry and the entries below it. Entries of earlier pages are left out."""
        path = b"/".join((self._root.rstrip(b"/"), *names))
        try:
            entry = entry_at(path, folder, names[-1])
        except FileNotFoundError:
            return
        if names > self._after:
            entry["position"] = position_of(names)
            text = json.dumps(entry)
            self._bytes += len(text)
            if len(self._entries) == self._limit or self._bytes > MAX_PAGE_BYTES:
                self._is_full = True
                return
            self._entries.append(text)
            self._last = names
            if len(self._entries) % 100 == 0:
                yield None
        if entry["kind"] == "directory" and len(names) < self._depth:
            try:
                below = os.open(
                    names[-1],
                    os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                    dir_fd=folder,
                )
                yield from self.add_entries(below, names)
            except OSError:
                # The folder has vanished, or the user may not look into it. The folder itself is listed.
                return
