"""The routes of docs/internals/worker-protocol.md, "Files"."""

from __future__ import annotations

import os
from typing import Any

from tornado.web import HTTPError

from cellhouse_agent.files.access import FilesAccess
from cellhouse_agent.files.helper import Fields, FilesHelper, close_descriptor
from cellhouse_agent.files.query import Query
from cellhouse_agent.http_api import ApiHandler

MAX_LISTED = 1_000


class FilesHandler(ApiHandler):
    """One request about files; each method carries out one operation."""

    def initialize(self, helper: FilesHelper, access: FilesAccess) -> None:
        """Take the agent's parts."""
        self.helper = helper
        self.access = access

    def prepare(self) -> Any:
        """Check who asks, before anything else."""
        self.query = Query(self.request)
        self.access.check(self.query.identifier("session_id"), self.query.identifier("boot_id"))

    def preconditions(self) -> Fields:
        """The entity tags that the caller names."""
        return {name: self.query.text(name) for name in ("if_match", "if_none_match")}

    async def tell(self, do: str, fields: Fields) -> None:
        """Answer with the fields of the helper's answer."""
        with self.access.turn():
            answer = await self.helper.ask(do, fields)
        close_descriptor(answer.descriptor)
        self.answer(answer.fields)

    async def tell_memory(self, do: str, fields: Fields) -> None:
        """Answer with the JSON that the helper has written into a file in memory."""
        with self.access.turn():
            answer = await self.helper.ask(do, fields)
        if answer.descriptor is None:
            raise HTTPError(500)
        try:
            text = os.pread(answer.descriptor, answer.fields["size"], 0)
        finally:
            os.close(answer.descriptor)
        self.set_header("Content-Type", "application/json")
        self.finish(text)


class StatHandler(FilesHandler):
    """GET /files/stat."""

    async def get(self) -> None:
        """The entry of one path."""
        query = self.query
        await self.tell("stat", {"path": query.path(), "follow": query.flag("follow")})


class ListHandler(FilesHandler):
    """GET /files/list."""

    async def get(self) -> None:
        """One page of a folder's entries."""
        query = self.query
        fields = {
            "path": query.path(),
            "depth": query.number("depth", 1, minimum=1),
            "limit": query.number("limit", MAX_LISTED, minimum=1),
            "after": query.text("after"),
        }
        await self.tell_memory("list", fields)


class DirectoryHandler(FilesHandler):
    """POST /files/directory."""

    async def post(self) -> None:
        """Make a folder."""
        query = self.query
        await self.tell("make_folder", {"path": query.path(), "parents": query.flag("parents")})


class MoveHandler(FilesHandler):
    """POST /files/move."""

    async def post(self) -> None:
        """Give something another path."""
        query = self.query
        flags = {name: query.flag(name) for name in ("overwrite", "make_parents")}
        goal = {"to": query.path("to"), **flags}
        await self.tell("move", {"from": query.path("from"), **goal})


class DeleteHandler(FilesHandler):
    """POST /files/delete."""

    async def post(self) -> None:
        """Delete a file or folder."""
        query = self.query
        how = {"recursive": query.flag("recursive"), **self.preconditions()}
        await self.tell("delete", {"path": query.path(), **how})
