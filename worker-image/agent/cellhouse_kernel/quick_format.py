"""How a result is shown, quickly when it is a number or a text: then nothing but plain text can come of it.

IPython asks twelve formatters about each object, and each looks through its class. For Python's own plain types the
answer is known, unless somebody registered a printer for one.
"""

from __future__ import annotations

from typing import Any

from IPython.core.formatters import DisplayFormatter

PLAIN_TEXT = "text/plain"
# Exactly these, not what is derived from them: such objects have no methods but their class's, and those give no MIME
# types. What a list holds may be anything, but it shows as text in a list.
PLAIN_TYPES = frozenset(
    {int, float, complex, bool, str, bytes, type(None), list, tuple, dict, set, frozenset, range}
)


class QuickFormatter(DisplayFormatter):
    """IPython's formatter, with a short way for plain types."""

    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> Any:
        """MIME types and their data, and metadata; see IPython."""
        kind = type(obj)
        if kind not in PLAIN_TYPES or include or exclude or self._has_printers(kind, obj):
            return super().format(obj, include, exclude)
        text = self.formatters[PLAIN_TEXT](obj)
        return ({} if text is None else {PLAIN_TEXT: text}), {}

    def _has_printers(self, kind: type, obj: object) -> bool:
        """Whether somebody has something else to say about this object than the formatter for plain text."""
        others = (formatter for name, formatter in self.formatters.items() if name != PLAIN_TEXT)
        formatters = (self.ipython_display_formatter, self.mimebundle_formatter, *others)
        return PLAIN_TEXT not in self.formatters or any(
            formatter.deferred_printers
            or id(obj) in formatter.singleton_printers
            or not formatter.type_printers.keys().isdisjoint(kind.__mro__)
            for formatter in formatters
        )
