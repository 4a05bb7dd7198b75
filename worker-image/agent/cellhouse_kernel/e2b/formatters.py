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
# IPython shows a thousand items of a list as text. E2B shows all. With more than these, the text may be too large to be
# kept, and then there would be none.
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


class DataFormatter(BaseFormatter):
    """Shows the columns of a table. An object of another class may have `_repr_e2b_data_`."""

    format_type = Unicode(DATA)
    print_method = ObjectName("_repr_e2b_data_")
    _return_type = dict

    def __call__(self, obj: Any) -> Any:
        """The columns; None if they cannot be shown."""
        if not _is_a("pandas", "DataFrame", obj):
            return super().__call__(obj)
        try:
            return columns_of(obj)
        except Exception:
            return None


class ChartFormatter(BaseFormatter):
    """Shows what a figure is a picture of. An object of another class may have `_repr_e2b_chart_`."""

    format_type = Unicode(CHART)
    print_method = ObjectName("_repr_e2b_chart_")
    _return_type = dict

    def __call__(self, obj: Any) -> Any:
        """The chart; None if the figure is blank, or cannot be shown."""
        if not _is_a("matplotlib.figure", "Figure", obj):
            return super().__call__(obj)
        try:
            # Not before there is a figure.
            return importlib.import_module("cellhouse_kernel.e2b.charts").chart_of(obj)
        except Exception:
            return None


def _is_a(module: str, name: str, obj: object) -> bool:
    """Whether it is of this class. If the module has not been imported, there is no such object."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(obj, kind)


def _json_or_nothing(obj: Any) -> Json:
    try:
        return json_of(obj)
    except Exception:
        return None
