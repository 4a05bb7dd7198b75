"""All operations of the helper."""

from __future__ import annotations

from cellhouse_files.archives.reading import read_archive
from cellhouse_files.archives.writing import write_archive
from cellhouse_files.operations.changes import look_for_changes, renew_look
from cellhouse_files.operations.content import (
    finish_write,
    give_up_write,
    read_file,
    take_over_parts,
    write_file,
)
from cellhouse_files.operations.delete import delete_file
from cellhouse_files.operations.folders import make_folder
from cellhouse_files.operations.look import list_folder, stat_file
from cellhouse_files.operations.move import move_file
from cellhouse_files.operations.watch import end_watcher, make_watcher, tell_events
from cellhouse_files.server import Operation

OPERATIONS: dict[str, Operation] = {
    "stat": stat_file,
    "list": list_folder,
    "read": read_file,
    "write": write_file,
    "finish_write": finish_write,
    "give_up_write": give_up_write,
    "make_folder": make_folder,
    "move": move_file,
    "delete": delete_file,
    "read_archive": read_archive,
    "write_archive": write_archive,
    "look_for_changes": look_for_changes,
    "renew_look": renew_look,
    "make_watcher": make_watcher,
    "tell_events": tell_events,
    "end_watcher": end_watcher,
    "take_over_parts": take_over_parts,
}
