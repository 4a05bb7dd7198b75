"""E2B's MIME types: `e2b/data` for a table of pandas, `e2b/chart` for a figure of matplotlib, and JSON for lists.

What cannot be shown so is shown as in any other kernel: no formatter here raises, and none says why it has no answer.

Checked against IPython 8.35.0.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from IPython.core.formatters import BaseFormatter
from traitlets import ObjectName, Unicode

from cellhouse_kernel.e2b.tables import columns_of
from cellhouse_kernel.e2b.values import Json, json_of

DATA = "e2b/data"
CHART = "e2b/chart"
# IPython shows a thousand items of a list as text, and E2B shows all. The text of more items than these may be too
# large to be kept. Then the output would have no text at all.
MAX_SHOWN_ITEMS = 100_000


def add_formatters(display_formatter: Any) -> bool:
    """Add them; returns whether they were missing."""
    formatters = display_formatter.formatters
    if CHART in formatters:
        return False
    formatters[DATA] = DataFormatter(parent=display_formatter)
    formatters[CHART] = ChartFormatter(parent=display_formatter)
    for kind in (list, dict):
        formatters["application/json"].for_type(kind, _json_or_nothing)
    formatters["text/plain"].max_seq_length = MAX_SHOWN_ITEMS
    return True


class ClassFormatter(BaseFormatter):
    """Shows the objects of one class. An object of another class may have the method `print_method`."""

    # The module and the name of the class.
    shown_class: tuple[str, str]
    _return_type = dict

    def __call__(self, obj: Any) -> Any:
        """What is shown; None if it cannot be."""
        if not _is_a(*self.shown_class, obj):
            return super().__call__(obj)
        try:
            return self.show(obj)
        except Exception:
            return None

    def show(self, obj: Any) -> Any:
        """What is shown of an object of the class. May raise."""
        raise NotImplementedError


class DataFormatter(ClassFormatter):
    """Shows the columns of a table."""

    format_type = Unicode(DATA)
    print_method = ObjectName("_repr_e2b_data_")
    shown_class = ("pandas", "DataFrame")

    def show(self, obj: Any) -> Any:
        """The columns."""
        return columns_of(obj)


class ChartFormatter(ClassFormatter):
    """Shows the data of a figure."""

    format_type = Unicode(CHART)
    print_method = ObjectName("_repr_e2b_chart_")
    shown_class = ("matplotlib.figure", "Figure")

    def show(self, obj: Any) -> Any:
        """The chart; None if the figure is blank."""
        # Imported only when there is a figure.
        return importlib.import_module("cellhouse_kernel.e2b.charts").chart_of(obj)


def _is_a(module: str, name: str, obj: object) -> bool:
    """Whether it is of this class. If the module has not been imported, there is no such object."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(obj, kind)


def _json_or_nothing(obj: Any) -> Json:
    try:
        return json_of(obj)
    except Exception:
        return None
