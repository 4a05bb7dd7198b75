"""What gateways ask for, and the checks of its fields."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, TypeGuard

from cellhouse_agent.wire import Json, JsonObject, MalformedMessage

# Identifiers are UUIDs; this leaves room for clients with longer ones.
MAX_ID_CHARACTERS = 128
MAX_EPOCH = 2**53
# The most digits of a number in a query: as many as MAX_EPOCH has.
MAX_NUMBER_DIGITS = 16
# The longest path that Linux accepts.
MAX_PATH_BYTES = 4_095
# Linux stores a number of 16 bits.
MAX_TERMINAL_SIDE = 65_535


@dataclass(frozen=True)
class Context:
    """A kernel beside the default one. Its kernels begin in `working_directory`; None: in the home."""

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
class Command(Surroundings):
    """Code for a shell."""

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
    command: Command | None = None
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
    """A JSON number that is whole and in range; raises MalformedMessage that names it."""
    if not isinstance(value, int) or isinstance(value, bool) or not minimum <= value <= maximum:
        raise MalformedMessage(f"{name} must be a whole number from {minimum} to {maximum}")
    return value


def query_number(text: str, name: str, maximum: int) -> int:
    """A whole number of a query, from 0; raises MalformedMessage that names it."""
    is_number = text.isascii() and text.isdigit() and len(text) <= MAX_NUMBER_DIGITS
    return whole_number(int(text) if is_number else None, name, 0, maximum)


def identifier(value: Json, name: str) -> str:
    """A non-empty text of bounded length; raises MalformedMessage that names it."""
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
