"""IPython's shell without the work that it does twice, or too slowly, for each cell.

Checked against IPython 8.35.0, ipykernel 6.29.5, traitlets 5.14.3.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import Any

from IPython.core.history import HistoryManager
from ipykernel.compiler import XCachingCompiler, get_tmp_directory
from ipykernel.zmqshell import ZMQInteractiveShell
from traitlets import Instance

from cellhouse_kernel.quick_format import QuickFormatter
from cellhouse_kernel.quick_transform import QuickTransformerManager

# The size of a hash that only has to tell cells apart.
CELL_NAME_BYTES = 8
# Code that contains none of these does not await.
ASYNC_WORDS = ("await", "async")


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
        """Until this cell runs, remember what `transform_cell` and `should_run_async` return for it.

        IPython calls each of them more than once.
        """
        self._cell = _Cell(raw_cell)

    def transform_cell(self, raw_cell: str) -> str:
        """The cell as plain Python. Raises what a transformer of the user's raises."""
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
