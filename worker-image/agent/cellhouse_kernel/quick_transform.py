"""Turns a cell into plain Python. IPython does this slowly, in Python code, so a cell that needs no change skips it.

Checked against IPython 8.35.0.
"""

from __future__ import annotations

import re

from IPython.core.inputtransformer2 import TransformerManager

# All code that IPython may have to change has one of these: a beginning that must be removed (blank lines, an indent, a
# prompt), a `?`, a `!` or `%` that is no operator, a line that begins with one of `,;/%!`, or a line end that is not
# Python's.
SPECIAL = re.compile(
    r"""
    \A\s | ^[ \t]*(?:>>>|\.\.\.|[,;/%!]) | \.\.\.: | In[ ]\[
    | \? | !(?!=) | [=\\]\s*[%!]
    | [\t\r\v\f\x1c-\x1e\x85\u2028\u2029]
    """,
    re.MULTILINE | re.VERBOSE,
)


class QuickTransformerManager(TransformerManager):
    """IPython's manager, with a fast path for cells that it would leave unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self._usual = self._steps()

    def _steps(self) -> tuple[list[object], ...]:
        return [*self.cleanup_transforms], [*self.line_transforms], [*self.token_transformers]

    def transform_cell(self, cell: str) -> str:
        """Return the cell as Python. IPython's prefilter handles what depends on the shell's state, such as automagic.

        Raises what a transformer of the user raises.
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
