"""The ticks of an axis, and its scale."""

from __future__ import annotations

import sys
from typing import Any

from matplotlib import dates

from cellhouse_kernel.e2b.charts.labels import tick_labels_of
from cellhouse_kernel.e2b.values import Json


def ticks_of(axes: Any) -> dict[str, Json]:
    """Ticks, their labels and the scale of both axes."""
    return {**_ticks_of_axis("x", axes.xaxis), **_ticks_of_axis("y", axes.yaxis)}


def _ticks_of_axis(name: str, axis: Any) -> dict[str, Json]:
    labels = tick_labels_of(axis)
    places = [float(place) for place in axis.get_ticklocs()]
    ticks: list[Json] = [*places]
    if _has_dates(axis):
        scale, ticks = "datetime", [_date_at(axis, place) for place in places]
    elif axis.get_scale() != "linear":
        scale = axis.get_scale()
    else:
        scale = "categorical" if _are_categories(places, labels) else "linear"
    return {
        f"{name}_ticks": ticks,
        f"{name}_tick_labels": [*labels],
        f"{name}_scale": scale,
    }


def _are_categories(places: list[float], labels: list[str]) -> bool:
    """Whether the ticks are 0, 1, 2 and so on, and their labels are not."""
    numbered = list(enumerate(zip(places, labels)))
    return bool(numbered) and all(
        place == number and label != str(number) for number, (place, label) in numbered
    )


def _has_dates(axis: Any) -> bool:
    # Before matplotlib 3.10 it was an attribute.
    converter = axis.get_converter() if hasattr(axis, "get_converter") else axis.converter
    # The converters of pandas are of the latter class, too.
    return isinstance(converter, (dates._SwitchableDateConverter, dates.DateConverter))


def _date_at(axis: Any, place: float) -> str:
    """The date at a place of an axis. On those that pandas makes for regular dates, places are numbers of periods."""
    frequency = getattr(axis, "freq", None)
    if frequency is None:
        return str(dates.num2date(place).isoformat())
    pandas: Any = sys.modules["pandas"]
    return str(pandas.Period(ordinal=int(place), freq=frequency).to_timestamp().isoformat())
