"""Describes a figure of matplotlib as data, in the form that E2B's clients expect: one of seven types of charts.

It needs matplotlib, so it is imported when there is a figure. Checked against matplotlib 3.10.1, pandas 2.2.3.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable
from datetime import date
from typing import Any, NamedTuple

import numpy
from matplotlib import dates
from matplotlib.collections import PathCollection
from matplotlib.container import BarContainer
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle, Wedge
from matplotlib.path import Path

from cellhouse_kernel.e2b.values import Budget, Json, iso_of

Chart = dict[str, Json]


def chart_of(figure: Any) -> Chart | None:
    """The chart of a figure, several in one if it has several axes; None if nothing is drawn.

    Raises an exception if the chart is too large, or if its type cannot describe what was drawn.
    """
    axes = figure.get_axes()
    if not any(each.has_data() for each in axes):
        return None
    budget = Budget()
    charts: list[Json] = [_chart_of_axes(each, budget) for each in axes]
    if len(charts) == 1:
        return charts[0] if isinstance(charts[0], dict) else None
    return {"type": "superchart", "title": figure.get_suptitle(), "elements": charts}


def _chart_of_axes(axes: Any, budget: Budget) -> Chart:
    kind, read = _type_of(axes)
    details = read(axes, budget) if read else {"elements": []}
    return {"type": kind, "title": title_of(axes), **details}


def _type_of(axes: Any) -> tuple[str, Any]:
    """The type, and the function that reads the rest of such a chart."""
    # All that was drawn, but for texts.
    lists = (axes.lines, axes.patches, axes.collections, axes.images, axes.tables, axes.artists)
    drawn = [each for artists in lists for each in artists]
    if axes.name == "3d":
        # The artists of a 3D chart have positions on the picture, not those of the data.
        return "unknown", None
    if _are_all(drawn, Line2D):
        return "line", line_chart
    if _are_all(drawn, (PathPatch, Line2D)):
        return "box_and_whisker", box_chart
    drawn = [each for each in drawn if not (isinstance(each, Line2D) and is_grid_line(each))]
    if _are_all(drawn, PathCollection):
        return "scatter", scatter_chart
    if _are_all(drawn, Wedge):
        return "pie", pie_chart
    if _are_all(drawn, Rectangle):
        return "bar", bar_chart
    return "unknown", None


def _are_all(drawn: list[Any], kinds: type | tuple[type, ...]) -> bool:
    return all(isinstance(each, kinds) for each in drawn)


# The name that matplotlib gives to a line without one.
_NAMELESS_LINE = re.compile(r"_child(\d+)$")
# The two coordinates of a point, and the list that holds both.
VALUES_OF_A_POINT = 3


def line_chart(axes: Any, budget: Budget) -> dict[str, Json]:
    """The lines, except grid lines."""
    lines = [
        _series(_NAMELESS_LINE.sub(r"Line \1", str(line.get_label())), _points_of(line), budget)
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
    """A number, a category, or the ISO form of a date; None for a missing value, which matplotlib does not draw."""
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


# The name that matplotlib gives to a group without one.
_NAMELESS_GROUP = re.compile(r"_container(\d+)$")
# The label, the group and the value of a bar, and the object that has all three.
VALUES_OF_A_BAR = 4


def bar_chart(axes: Any, budget: Budget) -> dict[str, Json]:
    """The bars of each group, in order. The first bar of a group gets the label of the first tick, and so on.

    Bars for which no tick is left are left out. The ticks of a histogram do not correspond to its bars, so the labels
    of its bars are meaningless, as with E2B.
    """
    groups = [group for group in axes.containers if isinstance(group, BarContainer)]
    is_horizontal = any(group.orientation == "horizontal" for group in groups)
    labels = tick_labels_of(axes.yaxis if is_horizontal else axes.xaxis)
    bars: list[Json] = []
    for group in groups:
        name = _NAMELESS_GROUP.sub(r"Group \1", str(group.get_label()))
        for label, bar in zip(labels, group):
            budget.take(VALUES_OF_A_BAR)
            length = float(bar.get_width() if is_horizontal else bar.get_height())
            value = length if math.isfinite(length) else None
            bars.append({"label": label, "group": name, "value": value})
    return {**labels_of(axes, is_horizontal), "elements": bars}


# The label, the angle and the radius of a slice, and the object that has all three.
VALUES_OF_A_SLICE = 4
# matplotlib computes angles with single precision, so of an angle below 10 this many digits are exact.
DIGITS = 8


def pie_chart(axes: Any, budget: Budget) -> dict[str, Json]:
    """The slices, in order."""
    slices: list[Json] = []
    for wedge in axes.patches:
        budget.take(VALUES_OF_A_SLICE)
        angle = _rounded(abs(float(wedge.theta2) - float(wedge.theta1)))
        label = str(wedge.get_label())
        slices.append({"label": label, "angle": angle, "radius": float(wedge.r)})
    return {"elements": slices}


def _rounded(angle: float) -> float:
    """The angle, rounded to its exact digits: one fewer for each further digit before the decimal point."""
    exponent = int(f"{angle:e}".partition("e")[2])
    return float(f"{angle:.{max(1, DIGITS - exponent)}g}")


# The label of a box, its five numbers, its list of outliers, and the object that has all of them.
VALUES_OF_A_BOX = 8
# Two positions touch if they differ by at most this part of their value. matplotlib computes both from the same data.
TOLERANCE = 1e-9


class Line(NamedTuple):
    """The coordinates of a line's points: across the row of boxes, and along the axis of values."""

    across: tuple[float, ...]
    along: tuple[float, ...]

    @property
    def is_level(self) -> bool:
        """Whether both of its ends have the same value."""
        return len(self.along) == 2 and _touch(self.along[0], self.along[1])


class Box(NamedTuple):
    """The bounds of a box: across the row of boxes (left, right), and along the axis of values (the quartiles)."""

    left: float
    right: float
    low: float
    high: float

    def spans(self, across: Iterable[float]) -> bool:
        """Whether all these positions are between the box's left and right side."""
        return all(self.left <= place <= self.right for place in across)

    def holds(self, value: float) -> bool:
        """Whether the value is between the quartiles."""
        return self.low <= value <= self.high


def box_chart(axes: Any, budget: Budget) -> dict[str, Json]:
    """The boxes, in order. Raises an exception if a box has no median or no whiskers: it is another kind of chart."""
    boxes = [_bounds_of(patch) for patch in axes.patches]
    lines = [_line_of(line) for line in axes.lines]
    is_horizontal = _are_horizontal(boxes, lines)
    if is_horizontal:
        boxes = [Box(box.low, box.high, box.left, box.right) for box in boxes]
        lines = [Line(line.along, line.across) for line in lines]
    ticks = _ticks_of(axes.yaxis if is_horizontal else axes.xaxis)
    elements: list[Json] = []
    for box in boxes:
        own = [line for line in lines if line.across and box.spans(line.across)]
        budget.take(VALUES_OF_A_BOX + sum(len(line.along) for line in own))
        elements.append({"label": _label_of(box, ticks), **_numbers_of(box, own)})
    return {**labels_of(axes, is_horizontal), "elements": elements}


def _bounds_of(patch: Any) -> Box:
    path = patch.get_path()
    corners = path.vertices if path.codes is None else path.vertices[path.codes != Path.CLOSEPOLY]
    (left, low), (right, high) = corners.min(axis=0), corners.max(axis=0)
    return Box(float(left), float(right), float(low), float(high))


def _line_of(line: Any) -> Line:
    points = zip(map(float, line.get_xdata(False)), map(float, line.get_ydata(False)))
    drawn = [point for point in points if all(map(math.isfinite, point))]
    return Line(tuple(x for x, _ in drawn), tuple(y for _, y in drawn))


def _are_horizontal(boxes: list[Box], lines: list[Line]) -> bool:
    """Whether the boxes lie on their sides. The median says so: it goes from one side of a box to the other."""
    for box in boxes:
        for across, along in lines:
            if len(across) != 2 or not box.spans(across) or not all(map(box.holds, along)):
                continue
            if not _touch(*across) and _touch(*along):
                return False
            if not _touch(*along) and _touch(*across):
                return True
    return False


def _numbers_of(box: Box, lines: list[Line]) -> dict[str, Json]:
    """The numbers of a box, from the lines between its left and right side."""
    upright = [
        sorted(line.along) for line in lines if len(line.along) == 2 and _touch(*line.across)
    ]
    lowest = min(start for start, end in upright if _touch(end, box.low))
    highest = max(end for start, end in upright if _touch(start, box.high))
    level = [line.along[0] for line in lines if line.is_level and box.holds(line.along[0])]
    # The cap of a whisker without length lies on the edge of the box. matplotlib draws caps before the median.
    inner = [value for value in level if value not in (lowest, highest)] or level
    return {
        "min": lowest,
        "first_quartile": box.low,
        "median": inner[0],
        "third_quartile": box.high,
        "max": highest,
        "outliers": _outliers(lines, lowest, highest),
    }


def _outliers(lines: list[Line], lowest: float, highest: float) -> list[Json]:
    """The values of the points beyond the whiskers. All points of such a line have the same place across the boxes.

    The mean may be drawn as such a point, but it lies between the whiskers.
    """
    return [
        value
        for line in lines
        if all(_touch(place, line.across[0]) for place in line.across)
        for value in line.along
        if value < lowest or value > highest
    ]


def _ticks_of(axis: Any) -> list[tuple[float, str]]:
    return list(zip(map(float, axis.get_ticklocs()), tick_labels_of(axis)))


def _label_of(box: Box, ticks: list[tuple[float, str]]) -> str:
    """The label at the tick that is nearest to the middle of the box."""
    middle = (box.left + box.right) / 2
    return min(ticks, key=lambda tick: abs(tick[0] - middle), default=(0.0, ""))[1]


def _touch(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE * TOLERANCE)


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
    # Before matplotlib 3.10, the converter was an attribute.
    converter = axis.get_converter() if hasattr(axis, "get_converter") else axis.converter
    # The converters of pandas inherit from DateConverter.
    return isinstance(converter, (dates._SwitchableDateConverter, dates.DateConverter))


def _date_at(axis: Any, place: float) -> str:
    """The date at a place of an axis. On an axis that pandas makes for regular dates, places are numbers of periods."""
    frequency = getattr(axis, "freq", None)
    if frequency is None:
        return str(dates.num2date(place).isoformat())
    pandas: Any = sys.modules["pandas"]
    return str(pandas.Period(ordinal=int(place), freq=frequency).to_timestamp().isoformat())


# As in "time (s)" or "time [s]".
_UNIT = re.compile(r"\s\((?P<round>.*?)\)|\[(?P<square>.*?)\]")


def title_of(axes: Any) -> str | None:
    """The title; None if there is none."""
    return axes.get_title() or None


def labels_of(axes: Any, is_swapped: bool = False) -> dict[str, Json]:
    """The labels of both axes and the units in them. Those of a chart that lies on its side are swapped."""
    x, y = axes.get_xlabel(), axes.get_ylabel()
    if is_swapped:
        x, y = y, x
    return {
        "x_label": x or None,
        "y_label": y or None,
        "x_unit": _unit_in(x),
        "y_unit": _unit_in(y),
    }


def tick_labels_of(axis: Any) -> list[str]:
    """The texts at the ticks of an axis, in order."""
    return [label.get_text() for label in axis.get_ticklabels()]


def _unit_in(label: str) -> str | None:
    found = _UNIT.search(label)
    return (found["round"] or found["square"] or None) if found else None
