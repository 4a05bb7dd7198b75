"""Titles, and the labels of the two axes."""

from __future__ import annotations

import re
from typing import Any

from cellhouse_kernel.e2b.values import Json

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
