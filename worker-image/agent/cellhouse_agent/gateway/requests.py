"""The requests and frames of gateways, and the checks of their fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeGuard

from cellhouse_agent.json_values import Json, JsonObject, MalformedMessage, load_object

# Identifiers are UUIDs; this leaves room for clients with longer ones.
MAX_ID_CHARACTERS = 128
MAX_EPOCH = 2**53
# The most digits of a number in a query: as many as MAX_EPOCH has.
MAX_NUMBER_DIGITS = 16
# The longest path that Linux accepts.
MAX_PATH_BYTES = 4_095
# Linux stores each side of a terminal in 16 bits.
MAX_TERMINAL_SIDE = 65_535


@dataclass(frozen=True)
class Context:
    """A context other than the default one. Its kernels begin in `working_directory`; None: in the home."""

    id: str
    working_directory: str | None


class TerminalSize(NamedTuple):
    """The size of a terminal, in characters."""

    columns: int
    rows: int


@dataclass(frozen=True)
class Surroundings:
    """The environment variables and the folder of one execution alone. None: the folder that it would be in anyway."""

    environment: dict[str, str]
    working_directory: str | None

    def for_kernel(self) -> JsonObject:
        """The part of the message to a kernel."""
        directory = self.working_directory
        return {"environment": {**self.environment}, "working_directory": directory}


@dataclass(frozen=True)
class CommandOptions(Surroundings):
    """The options of code for a shell."""

    has_input: bool = False
    # None: its input and outputs are pipes.
    terminal: TerminalSize | None = None


@dataclass(frozen=True)
class CellOptions:
    """How a kernel runs a cell, in Jupyter's terms, and the expressions that it then evaluates, by their names."""

    silent: bool = False
    store_history: bool = True
    user_expressions: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class ExecuteRequest:
    """One piece of code to run, with its limits. `header` is the parent header of its messages."""

    msg_id: str
    code: str
    header: JsonObject
    timeout_ms: int
    grace_ms: int
    max_output_bytes: int
    # None: the default context.
    context: Context | None = None
    # None: the code is Python, for the kernel of the context.
    command: CommandOptions | None = None
    # Only for code in a kernel. None: the request names no surroundings.
    surroundings: Surroundings | None = None
    # Whether somebody can answer when its code asks for input.
    allows_asking: bool = False
    # Only for code in a kernel.
    options: CellOptions = CellOptions()

    @property
    def takes_input(self) -> bool:
        """Whether the execution can get input."""
        return self.command.has_input if self.command else self.allows_asking


def whole_number(value: Json, name: str, minimum: int, maximum: int) -> int:
    """A JSON number that is whole and in range; raises a MalformedMessage that names it."""
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise MalformedMessage(f"{name} must be a whole number from {minimum} to {maximum}")
    return value


def query_number(text: str, name: str, maximum: int) -> int:
    """A whole number of a query, from 0; raises a MalformedMessage that names it."""
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_DIGITS
    return whole_number(int(text) if is_number else None, name, 0, maximum)


def identifier(value: Json, name: str) -> str:
    """A non-empty text of bounded length; raises a MalformedMessage that names it."""
    if not isinstance(value, str) or not 0 < len(value) <= MAX_ID_CHARACTERS:
        raise MalformedMessage(f"{name} must be text of 1 to {MAX_ID_CHARACTERS} characters")
    return value


def epoch_of(value: Json) -> int:
    """A lease epoch; raises MalformedMessage."""
    return whole_number(value, "epoch", 0, MAX_EPOCH)


def context_of(value_id: Json, directory: Json) -> Context:
    """A context; raises MalformedMessage."""
    return Context(identifier(value_id, "context_id"), directory_of(directory))


def size_of(fields: JsonObject) -> TerminalSize:
    """The size of a terminal; raises MalformedMessage."""
    columns, rows = (
        whole_number(fields.get(name), name, 1, MAX_TERMINAL_SIDE) for name in ("columns", "rows")
    )
    return TerminalSize(columns, rows)


def directory_of(value: Json) -> str | None:
    """A working directory, or none; raises MalformedMessage."""
    if value is None:
        return None
    if not _is_absolute_path(value):
        raise MalformedMessage("working_directory must be an absolute path, or null")
    return value


def _is_absolute_path(value: Json) -> TypeGuard[str]:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        return False
    return len(value.encode(errors="surrogatepass")) <= MAX_PATH_BYTES


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


def _command(metadata: JsonObject) -> CommandOptions | None:
    language = metadata.get("language", "python")
    if language == "python":
        return None
    if language != "bash" or metadata.get("context") is not None:
        raise MalformedMessage("language must be python, or bash without a context")
    terminal = None if metadata.get("pty") is None else size_of(_child(metadata, "pty"))
    has_input = terminal is not None or metadata.get("stdin") is True
    return CommandOptions(*_environment_and_directory(metadata), has_input, terminal)


def _surroundings(metadata: JsonObject) -> Surroundings | None:
    if metadata.get("language") == "bash":
        return None
    surroundings = Surroundings(*_environment_and_directory(metadata))
    is_plain = not surroundings.environment and surroundings.working_directory is None
    return None if is_plain else surroundings


def _environment_and_directory(metadata: JsonObject) -> tuple[dict[str, str], str | None]:
    environment = checked_variables(metadata.get("environment", {}))
    return environment, directory_of(metadata.get("working_directory"))


# More than the gateway's settings allow.
MAX_VARIABLES = 10_000
MAX_TOTAL_BYTES = 131_072


def checked_variables(value: Json) -> dict[str, str]:
    """Environment variables of a session or an execution. Raises a MalformedMessage that never contains a value.

    Kernels get them over their links, never at their start. So they are in the environments of the kernel and of the
    processes that it starts, which run as its user and have no privileges. The agent, the fork server and the helper
    for files never have them: LD_PRELOAD, PYTHONPATH and BASH_ENV would run code there.
    """
    if not isinstance(value, dict) or len(value) > MAX_VARIABLES:
        raise MalformedMessage(f"variables must be an object of at most {MAX_VARIABLES} names")
    checked: dict[str, str] = {}
    size = 0
    for name, text in value.items():
        if not isinstance(text, str):
            raise MalformedMessage("variables must have values that are text")
        try:
            size += len(name.encode()) + len(text.encode())
        except UnicodeEncodeError:
            raise MalformedMessage("variables must be Unicode text") from None
        if not name or "=" in name or "\0" in name or "\0" in text:
            raise MalformedMessage("variables must have names and values that Linux accepts")
        checked[name] = text
    if size > MAX_TOTAL_BYTES:
        raise MalformedMessage(f"variables must have at most {MAX_TOTAL_BYTES} bytes")
    return checked


def variables_content(variables: dict[str, str]) -> JsonObject:
    """The content of the message to a kernel."""
    return {"variables": dict(variables)}
