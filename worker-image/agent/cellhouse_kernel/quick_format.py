"""How a result is shown, quickly when it is a number or a text: then nothing but plain text can come of it.

IPython asks twelve formatters about each object, and each looks through its class. For Python's own plain types the
answer is known, unless somebody registered a printer for one.
"""

from __future__ import annotations

from typing import Any

from IPython.core.formatters import DisplayFormatter, PlainTextFormatter
from IPython.lib.pretty import _repr_pprint

PLAIN_TEXT = "text/plain"
# Exactly these, not what is derived from them: such objects have no methods but their class's, and those give no MIME
# types. What a list holds may be anything, but it shows as text in a list.
PLAIN_TYPES = frozenset(
    {int, float, complex, bool, str, bytes, type(None), list, tuple, dict, set, frozenset, range}
)

# Of these, the text is `repr`, and one line.
REPR_TYPES = frozenset({int, str, bytes})
# Python has a limit for the digits of larger ones, which is the slow way's business.
MAX_REPR_BITS = 1_024


class QuickFormatter(DisplayFormatter):
    """IPython's formatter, with a short way for plain types."""

    def format(self, obj: Any, include: Any = None, exclude: Any = None) -> Any:
        """MIME types and their data, and metadata; see IPython."""
        kind = type(obj)
        if kind not in PLAIN_TYPES or include or exclude or self._has_printers(kind, obj):
            return super().format(obj, include, exclude)
        plain = self.formatters[PLAIN_TEXT]
        text = repr(obj) if _shows_repr(plain, kind, obj) else plain(obj)
        return ({} if text is None else {PLAIN_TEXT: text}), {}

    def _has_printers(self, kind: type, obj: object) -> bool:
        """Whether somebody has something else to say about this object than the formatter for plain text."""
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
    """Whether this formatter's text is nothing but `repr`: it always is, unless somebody changed it."""
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
