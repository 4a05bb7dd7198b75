"""Reads the fields of an order. The agent has checked their types; a path is text of one character for each byte."""

from __future__ import annotations

from typing import Any

from cellhouse_files.paths import absolute
from cellhouse_files.writing import Precondition


def path_field(fields: dict[str, Any], name: str = "path") -> bytes:
    """A path from the root; raises Refused."""
    return absolute(fields[name].encode("latin-1"))


def tags_field(fields: dict[str, Any], name: str) -> tuple[str, ...] | None:
    """The entity tags of a precondition, which are separated by commas; None: there is no such precondition."""
    value = fields.get(name)
    return None if value is None else tuple(tag.strip() for tag in value.split(","))


def precondition_field(fields: dict[str, Any]) -> Precondition:
    """Both preconditions."""
    return Precondition(tags_field(fields, "if_match"), tags_field(fields, "if_none_match"))
