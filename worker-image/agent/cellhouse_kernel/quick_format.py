"""Formats results, with a fast path for Python's plain types, which have nothing to show but plain text.

IPython asks twelve formatters about each object, and each searches the object's class. For Python's own plain types the
answer is known, unless somebody registered a printer for one.

Checked against IPython 8.35.0.
"""

from __future__ import annotations

from typing import Any

from IPython.core.formatters import DisplayFormatter, PlainTextFormatter
from IPython.lib.pretty import _repr_pprint

PLAIN_TEXT = "text/plain"
# Exactly these types, no subclasses: their objects have only the methods of their class, and those give no MIME types.
# The items of a list may be anything, but they are shown as text.
PLAIN_TYPES = frozenset(
    {int, float, complex, bool, str, bytes, type(None), list, tuple, dict, set, frozenset, range}
)

# The text of these is their `repr`, on one line.
REPR_TYPES = frozenset({int, str, bytes})
# Far below Python's limit of 4,300 digits. IPython's own way copes with that limit.
MAX_REPR_BITS = 1_024


class QuickFormatter(DisplayFormatter):
    """IPython's formatter, with a fast path for plain types."""

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
