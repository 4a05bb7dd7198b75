"""Boxes and whiskers.

matplotlib draws a filled box as a path, and the rest as lines. Only the position of a line tells whether it is the
median or a whisker, and of which box.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from matplotlib.path import Path

from cellhouse_kernel.e2b.charts.labels import labels_of, tick_labels_of
from cellhouse_kernel.e2b.values import Budget, Json

# The label of a box, its five numbers, its list of outliers, and the object that has all of them.
VALUES_OF_A_BOX = 8
# Lines that touch are computed in the same way, so they differ by less than this.
TOLERANCE = 1e-9


class Line(NamedTuple):
    """Where a line goes: across the boxes, and along the values."""

    across: tuple[float, ...]
    along: tuple[float, ...]

    @property
    def is_level(self) -> bool:
        """Whether both of its ends have the same value."""
        return len(self.along) == 2 and _touch(self.along[0], self.along[1])


class Box(NamedTuple):
    """Its bounds: across the boxes, and along the values."""

    left: float
    right: float
    low: float
    high: float

    def spans(self, across: Iterable[float]) -> bool:
        """Whether all these positions are on the strip of the box."""
        return all(self.left <= place <= self.right for place in across)

    def holds(self, value: float) -> bool:
        """Whether the value is between the quartiles."""
        return self.low <= value <= self.high


def box_chart(axes: Any, budget: Budget) -> dict[str, Json]:
    """The boxes, in order. Raises ValueError if one has no median or whiskers: then this is another kind of chart."""
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
    """What the lines on its strip say about a box."""
    upright = [
        sorted(line.along) for line in lines if len(line.along) == 2 and _touch(*line.across)
    ]
    lowest = min(start for start, end in upright if _touch(end, box.low))
    highest = max(end for start, end in upright if _touch(start, box.high))
    level = [line.along[0] for line in lines if line.is_level and box.holds(line.along[0])]
    # At the end of a whisker that has no length, a cap is in the box, too. It comes before the median.
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
    """The values beyond the whiskers, of points at one place of the strip. The mean is such a point, but not beyond."""
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
    """The label at the tick that is nearest to its middle."""
    middle = (box.left + box.right) / 2
    return min(ticks, key=lambda tick: abs(tick[0] - middle), default=(0.0, ""))[1]


def _touch(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE * TOLERANCE)
