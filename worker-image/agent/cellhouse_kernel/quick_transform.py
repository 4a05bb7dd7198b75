"""Turns a cell into plain Python; quickly if it is that already. IPython looks at each token, in Python."""

from __future__ import annotations

import re

from IPython.core.inputtransformer2 import TransformerManager

# All code that IPython may have to change has one of these: a beginning that must be removed (blank lines, an indent, a
# prompt), `?`, `!` and `%` that are no operators, lines that begin with a mark, line ends that are not Python's.
SPECIAL = re.compile(
    r"""
    \A\s | ^[ \t]*(?:>>>|\.\.\.|[,;/%!]) | \.\.\.: | In[ ]\[
    | \? | !(?!=) | [=\\]\s*[%!]
    | [\t\r\v\f\x1c-\x1e\x85\u2028\u2029]
    """,
    re.MULTILINE | re.VERBOSE,
)


class QuickTransformerManager(TransformerManager):
    """IPython's manager, with a short way for cells that it would leave unchanged."""

    def __init__(self) -> None:
        super().__init__()
        self._usual = self._steps()

    def _steps(self) -> tuple[list[object], ...]:
        return [*self.cleanup_transforms], [*self.line_transforms], [*self.token_transformers]

    def transform_cell(self, cell: str) -> str:
        """The cell as Python, but for what depends on the shell's state. Raises what a user's transformer raises."""
        if SPECIAL.search(cell) or self._usual != self._steps() or not has_plain_indents(cell):
            return str(super().transform_cell(cell))
        return cell if cell.endswith("\n") else f"{cell}\n"


def has_plain_indents(code: str) -> bool:
    """Whether each line that is indented less returns to an earlier indent; if not, IPython has an error to show.

    Lines within brackets and long strings are treated like any other, so the answer may be no for correct code.
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
