"""Lines and points."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from datetime import date
from typing import Any

import numpy

from cellhouse_kernel.e2b.charts.labels import labels_of
from cellhouse_kernel.e2b.charts.ticks import ticks_of
from cellhouse_kernel.e2b.values import Budget, Json, iso_of

# The name that matplotlib gives to a line without one.
_NAMELESS = re.compile(r"_child(\d+)$")
# The two coordinates of a point, and the pair of them.
VALUES_OF_A_POINT = 3


def line_chart(axes: Any, budget: Budget) -> dict[str, Json]:
    """The lines, but for straight ones that only help to read the others."""
    lines = [
        _series(_NAMELESS.sub(r"Line \1", str(line.get_label())), _points_of(line), budget)
        for line in axes.lines
        if not is_grid_line(line)
    ]
    return {**labels_of(axes), **ticks_of(axes), "elements": [*lines]}


def scatter_chart(axes: Any, budget: Budget) -> dict[str, Json]:
    """The groups of points."""
    groups = [
        _series(str(group.get_label()), group.get_offsets(), budget) for group in axes.collections
    ]
    return {**labels_of(axes), **ticks_of(axes), "elements": [*groups]}


def is_grid_line(line: Any) -> bool:
    """Whether it is a straight line between two points, along one of the axes."""
    xs, ys = line.get_xdata(), line.get_ydata()
    return len(xs) == len(ys) == 2 and bool(xs[0] == xs[1] or ys[0] == ys[1])


def _points_of(line: Any) -> Iterable[Any]:
    """The points as they were given, not as they are drawn: drawn dates and categories are numbers."""
    return zip(line.get_xdata(), line.get_ydata())


def _series(label: str, points: Iterable[Any], budget: Budget) -> dict[str, Json]:
    made: list[Json] = []
    for x, y in points:
        budget.take(VALUES_OF_A_POINT)
        made.append([_coordinate(x), _coordinate(y)])
    return {"label": label, "points": made}


def _coordinate(value: Any) -> str | float | None:
    """A number, a category, or the ISO form of a date; None for what is none of these, and is not drawn either."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, date):
        return iso_of(value)
    if isinstance(value, numpy.datetime64):
        return None if numpy.isnat(value) else str(value.astype("datetime64[s]"))
    if value is None or value is numpy.ma.masked:
        return None
    if (pandas := sys.modules.get("pandas")) and isinstance(value, pandas.Period):
        return iso_of(value.to_timestamp())
    number = float(value)
    return number if math.isfinite(number) else None
