"""The formats that a sandbox shows in addition: E2B's MIME types, JSON for lists, and pictures.

`e2b/data` is for a table of pandas, and `e2b/chart` for a figure of matplotlib. A formatter that cannot show an object
returns None, without an error. The object is then shown as in any other kernel.

Checked against IPython 8.35.0.
"""

from __future__ import annotations

import functools
import importlib
import sys
from contextlib import suppress
from typing import Any

from IPython.core.display_functions import display
from IPython.core.formatters import BaseFormatter
from traitlets import ObjectName, Unicode

from cellhouse_kernel.e2b.values import Json, JsonMaker, json_of, key_of
from cellhouse_kernel.forked_child import is_forked_child

DATA = "e2b/data"
CHART = "e2b/chart"
# IPython shows a thousand items of a list as text, and E2B shows all items. With more items than this, the text may be
# too large to be kept, and the output would have no text at all.
MAX_SHOWN_ITEMS = 100_000


def add_formatters(display_formatter: Any) -> bool:
    """Add the formatters of a sandbox; returns whether they were missing."""
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
    """Shows the objects of one class. An object of another class may have the method that `print_method` names."""

    # The module and the name of the class.
    shown_class: tuple[str, str]
    _return_type = dict

    def __call__(self, obj: Any) -> Any:
        """The data to show; None if the object cannot be shown."""
        if not _is_a(*self.shown_class, obj):
            return super().__call__(obj)
        try:
            return self.show(obj)
        except Exception:
            return None

    def show(self, obj: Any) -> Any:
        """The data that is shown for an object of the class. May raise."""
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
    """Whether an object is of this class. If the module has not been imported, there is no such object."""
    kind = getattr(sys.modules.get(module), name, None)
    return isinstance(kind, type) and isinstance(obj, kind)


def _json_or_nothing(obj: Any) -> Json:
    try:
        return json_of(obj)
    except Exception:
        return None


def columns_of(table: Any) -> dict[str, Json]:
    """The values of each column, by its name. Raises ValueError if the table is too large.

    If several columns have the same name, the values are those of the last one.
    """
    rows, columns = table.shape
    maker = TableMaker()
    maker.budget.check(rows * columns)
    made: dict[str, Json] = {}
    for place, label in enumerate(table.columns):
        name = _name_of(label)
        maker.budget.take(1, len(name))
        made[name] = maker.make(table.iloc[:, place].tolist())
    return made


class TableMaker(JsonMaker):
    """A table may have values of any kind. Those that JSON does not have are shown as their text."""

    def unknown(self, value: Any) -> Json:
        """For example a time span, or a decimal number."""
        return str(value)


def _name_of(name: Any) -> str:
    try:
        return key_of(name)
    except TypeError:
        return str(name)


def display_images() -> None:
    """From now on, display pictures of Pillow when code shows them, and also when it saves them under a name.

    matplotlib saves its figures with Pillow. So a figure is displayed, too, when it is saved as PNG or JPEG.
    """
    # This costs nothing in a forked kernel: the preloaded matplotlib has imported Pillow.
    image_class: Any = importlib.import_module("PIL.Image").Image
    save = image_class.save

    @functools.wraps(save)
    def save_and_display(self: Any, fp: Any, *args: Any, **kwargs: Any) -> None:
        save(self, fp, *args, **kwargs)
        if isinstance(fp, str):
            _display_image(self)

    def show(self: Any, title: str | None = None) -> None:
        """Display this image. There is no window whose title could be set."""
        _display_image(self)

    image_class.save = save_and_display
    image_class.show = show


def _display_image(image: Any) -> None:
    """Display it if that is possible. Saving must not fail because of it."""
    if not is_forked_child():
        with suppress(Exception):
            display(image)
