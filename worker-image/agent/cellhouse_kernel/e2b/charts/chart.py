"""Tells the type of a chart by what has been drawn."""

from __future__ import annotations

from typing import Any

from matplotlib.collections import PathCollection
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch, Rectangle, Wedge

from cellhouse_kernel.e2b.charts.bars import bar_chart
from cellhouse_kernel.e2b.charts.boxes import box_chart
from cellhouse_kernel.e2b.charts.labels import title_of
from cellhouse_kernel.e2b.charts.pies import pie_chart
from cellhouse_kernel.e2b.charts.points import is_grid_line, line_chart, scatter_chart
from cellhouse_kernel.e2b.values import Budget, Json

Chart = dict[str, Json]


def chart_of(figure: Any) -> Chart | None:
    """The chart of a figure, several in one if it has several axes; None if nothing is drawn.

    Raises ValueError if it is too much, and any exception if something was drawn that the type does not have.
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
        # Its positions are those on the picture, not those of the data.
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
