"""Pies."""

from __future__ import annotations

from typing import Any

from cellhouse_kernel.e2b.values import Budget, Json

# Its label, its angle, its radius and the three of them.
VALUES_OF_A_SLICE = 4
# matplotlib computes angles with single precision. These digits are left if the largest one has none before the point.
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
    """Without the digits that are due to the precision: the larger the angle, the fewer are left."""
    exponent = int(f"{angle:e}".partition("e")[2])
    return float(f"{angle:.{max(1, DIGITS - exponent)}g}")
