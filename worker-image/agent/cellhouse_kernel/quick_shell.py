"""IPython's shell without the work that it does twice, or too slowly, for each cell.

Cells that IPython would leave unchanged, results of Python's plain types, and cells that do not await have fast paths.

Checked against IPython 8.35.0, ipykernel 6.29.5, traitlets 5.14.3.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from typing import Any

from ipykernel.compiler import XCachingCompiler, get_tmp_directory
from ipykernel.zmqshell import ZMQInteractiveShell
from IPython.core.formatters import DisplayFormatter, PlainTextFormatter
from IPython.core.history import HistoryManager
from IPython.core.inputtransformer2 import TransformerManager
from IPython.lib.pretty import _repr_pprint
from traitlets import Instance

# All code that IPython may have to change has one of these: a beginning that must be removed (blank lines, an indent, a
# prompt), a `?`, a `!` or `%` that is not an operator, a line that begins with one of `,;/%!`, a tab (it may be an
# indent), or a line end that is not Python's.
SPECIAL = re.compile(
    r"""
    \A\s | ^[ \t]*(?:>>>|\.\.\.|[,;/%!]) | \.\.\.: | In[ ]\[
    | \? | !(?!=) | [=\\]\s*[%!]
    | [\t\r\v\f\x1c-\x1e\x85\u2028\u2029]
    """,
    re.MULTILINE | re.VERBOSE,
)

PLAIN_TEXT = "text/plain"
# Exactly these types, no subclasses: their objects have only the methods of their class, and those give no MIME types.
# The items of a list may be anything, but they are shown as text.
PLAIN_TYPES = frozenset(
    {int, float, complex, bool, str, bytes, type(None), list, tuple, dict, set, frozenset, range}
)

# The text of these is their `repr`, on one line.
REPR_TYPES = frozenset({int, str, bytes})
# Far below 4,300 digits: Python refuses the `repr` of a longer number. IPython's formatter gets all larger numbers, and
# shows that error.
MAX_REPR_BITS = 1_024

# The size of a hash that only has to tell cells apart.
CELL_NAME_BYTES = 8
# Code that contains none of these does not await.
ASYNC_WORDS = ("await", "async")


class QuickTransformerManager(TransformerManager):
    """Turns a cell into plain Python.

    IPython does this slowly, in Python code, so a cell that needs no change skips it.
    """

    def __init__(self) -> None:
        super().__init__()
        self._usual = self._steps()

    def _steps(self) -> tuple[list[object], ...]:
        return [*self.cleanup_transforms], [*self.line_transforms], [*self.token_transformers]

    def transform_cell(self, cell: str) -> str:
        """Return the cell as Python. Raises any error of a transformer that the user has added.

        The result does not depend on the shell's state. IPython's prefilter makes changes that do, like automagic.
        """
        if SPECIAL.search(cell) or self._usual != self._steps() or not has_plain_indents(cell):
            return str(super().transform_cell(cell))
        return cell if cell.endswith("\n") else f"{cell}\n"


def has_plain_indents(code: str) -> bool:
    """Whether each line that is indented less than the line before has the indent of an earlier line.

    If not, IPython has an error to show. Lines within brackets and long strings are treated like any other, so the
    answer may be no for correct code.
    """
    indents = [0]
    for line in code.split("\n"):
        text = line.lstrip(" ")
        if not text or text[0] == "#":
            continue
        indent = len(line) - len(text)
        if indent > indents[-1]:
            indents.append(indent)
        else:
            while indent < indents[-1]:
                indents.pop()
            if indent != indents[-1]:
                return False
    return True


class QuickFormatter(DisplayFormatter):
    """Formats results, with a fast path for Python's plain types, which have nothing to show but plain text.

    IPython asks twelve formatters about each object, and each searches the object's class. For Python's own plain types
    the answer is known, unless somebody registered a printer for one.
    """

    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> Any:
        """MIME types and their data, and metadata; see IPython."""
        kind = type(obj)
        if kind not in PLAIN_TYPES or include or exclude or self._has_printers(kind, obj):
            return super().format(obj, include, exclude)
        plain = self.formatters[PLAIN_TEXT]
        text = repr(obj) if _shows_repr(plain, kind, obj) else plain(obj)
        return ({} if text is None else {PLAIN_TEXT: text}), {}

    def _has_printers(self, kind: type, obj: object) -> bool:
        """Whether a formatter other than that for plain text has a printer for this object."""
        formatters = self.formatters
        if PLAIN_TEXT not in formatters:
            return True
        plain = formatters[PLAIN_TEXT]
        for formatter in (
            self.ipython_display_formatter,
            self.mimebundle_formatter,
            *formatters.values(),
        ):
            if formatter is plain:
                continue
            if (
                formatter.deferred_printers
                or id(obj) in formatter.singleton_printers
                or not formatter.type_printers.keys().isdisjoint(kind.__mro__)
            ):
                return True
        return False


def _shows_repr(plain: Any, kind: Any, obj: Any) -> bool:
    """Whether this formatter's text is just the `repr`: it is, unless somebody changed the formatter."""
    if kind not in REPR_TYPES or type(plain) is not PlainTextFormatter:
        return False
    printers: Any = plain.type_printers
    singletons: Any = plain.singleton_printers
    return (
        plain.enabled
        and printers.get(kind) is _repr_pprint
        and id(obj) not in singletons
        and (kind is not int or obj.bit_length() <= MAX_REPR_BITS)
    )


class QuickCompiler(XCachingCompiler):
    """Names cells by a hash that is computed in C. In Python, it took a second for a megabyte of code."""

    def get_code_name(self, raw_code: str, code: str, number: int) -> str:
        """A file name for this code, the same for the same code."""
        digest = hashlib.blake2b(
            raw_code.encode("utf-8", "surrogatepass"), digest_size=CELL_NAME_BYTES
        )
        return os.path.join(get_tmp_directory(), f"{digest.hexdigest()}.py")


class QuickHistory(HistoryManager):
    """IPython's history with plain attributes for traits that nobody observes, and that are set for every cell."""

    _i: Any = ""
    _ii: Any = ""
    _iii: Any = ""
    _i00: Any = ""


@dataclass
class _Cell:
    """The cell that is about to run. Its transformed code and whether it awaits are None until they are asked for."""

    raw: str
    transformed: str | None = None
    is_async: bool | None = None


class QuickShell(ZMQInteractiveShell):
    """ZMQInteractiveShell that looks at each cell once."""

    input_transformer_manager = Instance(QuickTransformerManager, ())
    # None while a cell runs: code may itself run cells, and change how they are transformed.
    _cell: _Cell | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"compiler_class": QuickCompiler})

    def init_history(self) -> None:
        """As IPython's, with another class."""
        self.history_manager: Any = QuickHistory(shell=self, parent=self)
        self.configurables.append(self.history_manager)

    def init_display_formatter(self) -> None:
        """As IPython's, with another class."""
        self.display_formatter: Any = QuickFormatter(parent=self)
        self.configurables.append(self.display_formatter)

    def begin_cell(self, raw_cell: str) -> None:
        """Until this cell runs, remember the results of `transform_cell` and `should_run_async` for it.

        IPython calls each of them more than once.
        """
        self._cell = _Cell(raw_cell)

    def transform_cell(self, raw_cell: str) -> str:
        """The cell as plain Python. Raises any error of a transformer that the user has added."""
        cell = self._cell
        if cell is None or cell.raw is not raw_cell:
            return str(super().transform_cell(raw_cell))
        if cell.transformed is None:
            cell.transformed = str(super().transform_cell(raw_cell))
        return cell.transformed

    def should_run_async(self, raw_cell: str, **kwargs: Any) -> bool:
        """Whether the cell awaits."""
        cell = self._cell
        if cell is None or cell.transformed is None or cell.raw is not raw_cell:
            return bool(super().should_run_async(raw_cell, **kwargs))
        if cell.is_async is None and not any(word in cell.transformed for word in ASYNC_WORDS):
            # IPython would have Python compile the cell, just for this.
            cell.is_async = False
        if cell.is_async is None:
            cell.is_async = bool(super().should_run_async(raw_cell, **kwargs))
        return cell.is_async

    async def run_cell_async(self, *args: Any, **kwargs: Any) -> Any:
        """Run the cell."""
        self._cell = None
        return await super().run_cell_async(*args, **kwargs)
