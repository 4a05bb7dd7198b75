"""Describes a figure of matplotlib as data, in the form that E2B's clients expect: one of seven types of charts.

It needs matplotlib, so it is imported when there is a figure. Checked against matplotlib 3.10.1, pandas 2.2.3.
"""

from cellhouse_kernel.e2b.charts.chart import chart_of

__all__ = ["chart_of"]
