"""The columns of a table of pandas."""

from __future__ import annotations

from typing import Any

from cellhouse_kernel.e2b.values import Json, JsonMaker, key_of


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
