"""Bars."""

from __future__ import annotations

import math
import re
from typing import Any

from matplotlib.container import BarContainer

from cellhouse_kernel.e2b.charts.labels import labels_of, tick_labels_of
from cellhouse_kernel.e2b.values import Budget, Json

# The name that matplotlib gives to a group without one.
_NAMELESS = re.compile(r"_container(\d+)$")
# The label, the group and the value of a bar, and the object that has all three.
VALUES_OF_A_BAR = 4


def bar_chart(axes: Any, budget: Budget) -> dict[str, Json]:
    """The bars of each group, in order. A bar has the label at the tick of its number; without one, it is left out.

    So the bars of a histogram have labels that say nothing of them, as with E2B.
    """
    groups = [group for group in axes.containers if isinstance(group, BarContainer)]
    is_horizontal = any(group.orientation == "horizontal" for group in groups)
    labels = tick_labels_of(axes.yaxis if is_horizontal else axes.xaxis)
    bars: list[Json] = []
    for group in groups:
        name = _NAMELESS.sub(r"Group \1", str(group.get_label()))
        for label, bar in zip(labels, group):
            budget.take(VALUES_OF_A_BAR)
            length = float(bar.get_width() if is_horizontal else bar.get_height())
            value = length if math.isfinite(length) else None
            bars.append({"label": label, "group": name, "value": value})
    return {**labels_of(axes, is_horizontal), "elements": bars}
