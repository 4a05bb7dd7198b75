"""Parses and checks frames from the gateway."""

from __future__ import annotations

from dataclasses import dataclass

from cellhouse_agent.requests import (
    MAX_ID_CHARACTERS,
    CellOptions,
    Command,
    Context,
    ExecuteRequest,
    Surroundings,
    context_of,
    directory_of,
    identifier,
    size_of,
    whole_number,
)
from cellhouse_agent.variables import checked_variables
from cellhouse_agent.wire import JsonObject, MalformedMessage, load_object

# Header fields that are sent back as `parent_header`.
ECHOED_HEADER_FIELDS = ("msg_id", "msg_type", "session", "username", "date", "version")
# The most expressions that are evaluated after a cell.
MAX_EXPRESSIONS = 64
# One day: the longest limit that a gateway may set.
MAX_LIMIT_MS = 86_400_000


@dataclass(frozen=True)
class Ack:
    """The gateway has stored everything up to `seq` permanently."""

    seq: int


def _child(value: JsonObject, name: str) -> JsonObject:
    child = value.get(name)
    if not isinstance(child, dict):
        raise MalformedMessage(f"{name} must be an object")
    return child


def parse_frame(data: bytes | str) -> ExecuteRequest | Ack | None:
    """A frame from the gateway; None for a message the agent has no use for; raises MalformedMessage."""
    frame = load_object(data)
    if "ack" in frame:
        return Ack(whole_number(frame["ack"], "ack", 0, 2**53))
    header = _child(frame, "header")
    if frame.get("channel") != "shell" or header.get("msg_type") != "execute_request":
        return None
    content = _child(frame, "content")
    code = content.get("code")
    if not isinstance(code, str):
        raise MalformedMessage("content.code must be text")
    limits = _child(_child(frame, "metadata"), "cellhouse")
    echoed: JsonObject = {
        name: value[:MAX_ID_CHARACTERS]
        for name in ECHOED_HEADER_FIELDS
        if isinstance(value := header.get(name), str)
    }
    return ExecuteRequest(
        msg_id=identifier(header.get("msg_id"), "header.msg_id"),
        code=code,
        header=echoed,
        timeout_ms=whole_number(limits.get("timeout_ms"), "timeout_ms", 1, MAX_LIMIT_MS),
        grace_ms=whole_number(limits.get("grace_ms"), "grace_ms", 0, MAX_LIMIT_MS),
        max_output_bytes=whole_number(limits.get("max_output_bytes"), "max_output_bytes", 0, 2**53),
        context=_context(limits),
        command=_command(limits),
        surroundings=_surroundings(limits),
        allows_asking=content.get("allow_stdin") is True,
        options=_options(content),
    )


def _options(content: JsonObject) -> CellOptions:
    silent = content.get("silent") is True
    expressions = content.get("user_expressions", {})
    if not isinstance(expressions, dict) or len(expressions) > MAX_EXPRESSIONS:
        raise MalformedMessage(f"user_expressions must be an object of at most {MAX_EXPRESSIONS}")
    texts = {name: code for name, code in expressions.items() if isinstance(code, str)}
    if len(texts) < len(expressions) or any(len(name) > MAX_ID_CHARACTERS for name in texts):
        raise MalformedMessage(
            f"user_expressions must be text, named by {MAX_ID_CHARACTERS} characters"
        )
    stores = content.get("store_history", True) is not False
    return CellOptions(silent, stores and not silent, texts)


def _context(metadata: JsonObject) -> Context | None:
    if metadata.get("context") is None:
        return None
    context = _child(metadata, "context")
    return context_of(context.get("id"), context.get("working_directory"))


def _command(metadata: JsonObject) -> Command | None:
    language = metadata.get("language", "python")
    if language == "python":
        return None
    if language != "bash" or metadata.get("context") is not None:
        raise MalformedMessage("language must be python, or bash without a context")
    terminal = None if metadata.get("pty") is None else size_of(_child(metadata, "pty"))
    has_input = terminal is not None or metadata.get("stdin") is True
    return Command(*_environment_and_directory(metadata), has_input, terminal)


def _surroundings(metadata: JsonObject) -> Surroundings | None:
    if metadata.get("language") == "bash":
        return None
    surroundings = Surroundings(*_environment_and_directory(metadata))
    is_plain = not surroundings.environment and surroundings.working_directory is None
    return None if is_plain else surroundings


def _environment_and_directory(metadata: JsonObject) -> tuple[dict[str, str], str | None]:
    environment = checked_variables(metadata.get("environment", {}))
    return environment, directory_of(metadata.get("working_directory"))
