"""Pies."""

from __future__ import annotations

from typing import Any

from cellhouse_kernel.e2b.values import Budget, Json

# The label, the angle and the radius of a slice, and the object that has all three.
VALUES_OF_A_SLICE = 4
# matplotlib computes angles with single precision. If one digit is before the decimal point, this many are exact.
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
