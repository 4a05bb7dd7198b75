"""Figures are also shown as charts in JSON: with a real kernel and matplotlib. Run as root in the worker image."""

import datetime
from typing import Any

from tests.e2b.with_sandbox import WithSandbox

START = """
import datetime, math
import matplotlib.pyplot as plt, numpy as np, pandas as pd
none = plt.close("all")
"""
PNG = "iVBORw0KGgo"
POINT_KEYS = {
    *("type", "title", "elements", "x_label", "y_label", "x_unit", "y_unit"),
    *("x_ticks", "x_tick_labels", "x_scale", "y_ticks", "y_tick_labels", "y_scale"),
}


class WithCharts(WithSandbox):
    """A kernel that draws."""

    async def chart(self, code: str, end: str = "plt.show()") -> Any:
        """The chart of the only figure that this code has drawn."""
        data = await self.shown(f"{START}{code}\n{end}")
        self.assertTrue(data["image/png"].startswith(PNG))
        self.assertRegex(data["text/plain"], "^<Figure size ")
        chart = data.get("e2b/chart")
        keys = {"image/png", "text/plain", *(["e2b/chart"] if chart else [])}
        self.assertEqual(data.keys(), keys)
        return chart


class LinesAndPoints(WithCharts):
    """line and scatter."""

    async def test_lines_become_a_line_chart(self) -> None:
        chart = await self.chart(
            """
plt.plot([0, 1, 2], [1.5, math.nan, 3], label="measured")
plt.plot(np.array([0, 1]), np.array([2, 5]))
plt.axhline(2)
plt.plot([1, 1], [0, 9])
plt.title("A title"); plt.xlabel("time (s)"); plt.ylabel("pressure [kPa]")
plt.xticks([0, 2], ["start", "end"]); plt.yticks([])
"""
        )
        self.assertEqual(
            chart,
            {
                "type": "line",
                "title": "A title",
                **{"x_label": "time (s)", "y_label": "pressure [kPa]"},
                **{"x_unit": "s", "y_unit": "kPa"},
                **{"x_ticks": [0, 2], "x_tick_labels": ["start", "end"], "x_scale": "linear"},
                **{"y_ticks": [], "y_tick_labels": [], "y_scale": "linear"},
                "elements": [
                    {"label": "measured", "points": [[0, 1.5], [1, None], [2, 3]]},
                    {"label": "Line 1", "points": [[0, 2], [1, 5]]},
                ],
            },
        )

    async def test_missing_titles_and_labels_are_null(self) -> None:
        chart = await self.chart("plt.plot([1, 2, 3])")
        self.assertEqual(chart.keys(), POINT_KEYS)
        for key in ("title", "x_label", "y_label", "x_unit", "y_unit"):
            self.assertIsNone(chart[key], key)
        self.assertEqual(chart["elements"][0]["label"], "Line 0")

    async def test_dates_have_their_iso_form(self) -> None:
        chart = await self.chart(
            """
days = [datetime.date(2023, 9, 1) + datetime.timedelta(days=n) for n in range(3)]
plt.plot(days, [1, 2, 3])
plt.plot(np.array(["2023-09-02T01:02:03.5", "NaT"], "datetime64[ms]"), [4, 5])
plt.plot([pd.Timestamp("2023-09-03", tz="UTC")] * 3, [6, 7, 8])
"""
        )
        self.assertEqual((chart["x_scale"], chart["y_scale"]), ("datetime", "linear"))
        ticks = [datetime.datetime.fromisoformat(tick) for tick in chart["x_ticks"]]
        self.assertEqual(ticks[0], datetime.datetime(2023, 9, 1, tzinfo=datetime.timezone.utc))
        xs = [[x for x, _ in element["points"]] for element in chart["elements"]]
        self.assertEqual(
            xs,
            [
                ["2023-09-01", "2023-09-02", "2023-09-03"],
                ["2023-09-02T01:02:03", None],
                ["2023-09-03T00:00:00+00:00"] * 3,
            ],
        )

    async def test_the_plot_of_a_table_with_dates_has_a_scale_of_dates(self) -> None:
        for dates in ("pd.date_range('2024-01-01', periods=3)", "['2024-01-01', '2024-01-05']"):
            chart = await self.chart(
                f"index = pd.DatetimeIndex({dates})\n"
                "axes = pd.DataFrame({'v': range(len(index))}, index=index).plot()"
            )
            self.assertEqual(chart["x_scale"], "datetime")
            self.assertTrue(chart["x_ticks"][0].startswith("2024-01-01T00:00:00"), chart)
            points = chart["elements"][0]["points"]
            self.assertEqual(points[0], ["2024-01-01T00:00:00", 0])

    async def test_each_axis_names_its_scale(self) -> None:
        for scale in ("log", "symlog", "asinh"):
            chart = await self.chart(f"plt.plot([1, 10, 100]); plt.yscale('{scale}')")
            self.assertEqual((chart["x_scale"], chart["y_scale"]), ("linear", scale))
        chart = await self.chart("plt.plot([1, 2, 3], ['A', 'B', 'C'])")
        self.assertEqual((chart["x_scale"], chart["y_scale"]), ("linear", "categorical"))
        self.assertEqual(chart["y_ticks"], [0, 1, 2])
        self.assertEqual(chart["y_tick_labels"], ["A", "B", "C"])
        self.assertEqual(chart["elements"][0]["points"], [[1, "A"], [2, "B"], [3, "C"]])
        chart = await self.chart("plt.plot([0, 1, 2]); plt.xticks([0, 1, 2])")
        self.assertEqual(chart["x_scale"], "linear")

    async def test_points_become_a_scatter_chart(self) -> None:
        chart = await self.chart(
            """
plt.scatter([1, 2], [3, math.inf], label="group")
plt.scatter(np.ma.masked_equal([4, 5], 5), [6, 7])
plt.axvline(1)
"""
        )
        self.assertEqual((chart["type"], chart.keys()), ("scatter", POINT_KEYS))
        self.assertEqual(
            chart["elements"],
            [
                {"label": "group", "points": [[1, 3], [None, None]]},
                {"label": "_child1", "points": [[4, 6], [None, None]]},
            ],
        )


class Parts(WithCharts):
    """bar and pie."""

    async def test_bars_become_a_bar_chart(self) -> None:
        chart = await self.chart(
            """
plt.bar(["a", "b", "c"], [1, 2, -3], label="first")
plt.bar(["a", "b", "c"], [4, math.nan, 6])
plt.xlabel("kind"); plt.ylabel("mass (kg)")
"""
        )
        self.assertEqual((chart["x_label"], chart["y_label"]), ("kind", "mass (kg)"))
        self.assertEqual((chart["x_unit"], chart["y_unit"]), (None, "kg"))
        first = [("a", "first", 1), ("b", "first", 2), ("c", "first", -3)]
        second = [("a", "Group 1", 4), ("b", "Group 1", None), ("c", "Group 1", 6)]
        self.assert_bars(chart, [*first, *second])

    async def test_horizontal_bars_have_swapped_labels(self) -> None:
        chart = await self.chart(
            """
plt.barh(["a", "b"], [1, 2], label="x"); plt.barh(["a", "b"], [3, 4], label="y")
plt.xlabel("mass [g]"); plt.ylabel("kind")
"""
        )
        self.assertEqual((chart["x_label"], chart["y_label"]), ("kind", "mass [g]"))
        self.assertEqual((chart["x_unit"], chart["y_unit"]), (None, "g"))
        self.assert_bars(chart, [("a", "x", 1), ("b", "x", 2), ("a", "y", 3), ("b", "y", 4)])

    async def test_bars_of_the_same_height_count_as_vertical(self) -> None:
        chart = await self.chart("plt.bar(['a', 'b'], [2, 2]); plt.xlabel('kind')")
        self.assertEqual(chart["x_label"], "kind")
        self.assert_bars(chart, [("a", "Group 0", 2), ("b", "Group 0", 2)])

    async def test_bars_without_a_label_are_left_out(self) -> None:
        chart = await self.chart("plt.bar([0, 1, 2], [1, 2, 3]); plt.xticks([0, 1], ['a', 'b'])")
        self.assert_bars(chart, [("a", "Group 0", 1), ("b", "Group 0", 2)])

    def assert_bars(self, chart: Any, expected: list[tuple[Any, ...]]) -> None:
        """Check label, group and value of all bars."""
        self.assertEqual(chart["type"], "bar")
        keys = {"type", "title", "elements", "x_label", "y_label", "x_unit", "y_unit"}
        self.assertEqual(chart.keys(), keys)
        bars = [(bar["label"], bar["group"], bar["value"]) for bar in chart["elements"]]
        self.assertEqual(bars, expected)

    async def test_pies_become_a_pie_chart(self) -> None:
        chart = await self.chart(
            """
plt.pie([90, 10], labels=["No", "No, in blue"], autopct="%1.1f%%", startangle=90)
plt.axis("equal"); plt.title("Early?")
"""
        )
        slices = [("No", 324, 1), ("No, in blue", 36, 1)]
        elements = [dict(zip(("label", "angle", "radius"), each)) for each in slices]
        self.assertEqual(chart, {"type": "pie", "title": "Early?", "elements": elements})
        chart = await self.chart("plt.pie([1, 2, 4], radius=2, counterclock=False)")
        angles = [(each["angle"], each["radius"]) for each in chart["elements"]]
        self.assertEqual(angles, [(51.42857, 2), (102.857, 2), (205.714, 2)])


class Boxes(WithCharts):
    """box_and_whisker."""

    async def test_boxes_become_a_box_and_whisker_chart(self) -> None:
        chart = await self.chart(
            """
data = {"A": [85, 90, 78, 92, 88], "B": [95, 89, 76, 91, 84, 87], "C": [1, 2, 50, 51, 52, 98, 99]}
plt.boxplot(data.values(), tick_labels=data.keys(), patch_artist=True, showmeans=True)
plt.xlabel("class"); plt.ylabel("score")
"""
        )
        self.assertEqual((chart["x_label"], chart["y_label"]), ("class", "score"))
        expected = [
            ("A", 78, 85, 88, 90, 92, []),
            ("B", 84, 84.75, 88, 90.5, 95, [76]),
            ("C", 1, 26, 51, 75, 99, []),
        ]
        self.assert_boxes(chart, expected)

    async def test_horizontal_boxes_have_swapped_labels(self) -> None:
        chart = await self.chart(
            """
data = [[85, 90, 78, 92, 88], [-40, 1, 2, 2, 3, 3, 3, 4, 4, 5, 40, 50]]
plt.boxplot(data, tick_labels=["A", "B"], patch_artist=True, vert=False)
plt.ylabel("class"); plt.xlabel("score")
"""
        )
        self.assertEqual((chart["x_label"], chart["y_label"]), ("class", "score"))
        expected = [
            ("A", 78, 85, 88, 90, 92, []),
            ("B", 1, 2, 3, 4.25, 5, [-40, 40, 50]),
        ]
        self.assert_boxes(chart, expected)

    async def test_one_box_and_boxes_without_height_have_their_values(self) -> None:
        chart = await self.chart("plt.boxplot([1, 2, 3], tick_labels=['A'], patch_artist=True)")
        self.assert_boxes(chart, [("A", 1, 1.5, 2, 2.5, 3, [])])
        code = "plt.boxplot([[5, 5, 5], [1, 1, 1, 9]], tick_labels=['A', 'B'], patch_artist=True)"
        chart = await self.chart(code)
        self.assert_boxes(chart, [("A", 5, 5, 5, 5, 5, []), ("B", 1, 1, 1, 3, 3, [9])])

    async def test_a_notched_box_has_its_median(self) -> None:
        code = "plt.boxplot([range(101)], tick_labels=['A'], patch_artist=True, notch=True)"
        chart = await self.chart(code)
        self.assertEqual(chart["elements"][0]["median"], 50)

    async def test_boxes_that_are_lines_are_a_line_chart(self) -> None:
        chart = await self.chart("plt.boxplot([[1, 2, 3], [4, 5, 9]])")
        self.assertEqual(chart["type"], "line")

    async def test_other_paths_have_no_chart(self) -> None:
        self.assertIsNone(await self.chart("plt.stairs([1, 2, 3])"))

    def box_of(self, chart: Any, place: int) -> tuple[Any, ...]:
        """The values of one box."""
        return tuple(chart["elements"][place][key] for key in BOX_KEYS)

    def assert_boxes(self, chart: Any, expected: list[tuple[Any, ...]]) -> None:
        """Check all boxes."""
        self.assertEqual(chart["type"], "box_and_whisker")
        boxes = [self.box_of(chart, place) for place in range(len(chart["elements"]))]
        self.assertEqual(boxes, expected)


BOX_KEYS = ("label", "min", "first_quartile", "median", "third_quartile", "max", "outliers")


class Figures(WithCharts):
    """superchart, unknown, and figures without a chart."""

    async def test_several_axes_become_a_superchart(self) -> None:
        chart = await self.chart(
            """
figure, (left, right) = plt.subplots(1, 2)
figure.suptitle("Both")
left.plot([1, 2, 3]); left.set_title("Left"); left.grid(True)
right.scatter([1], [2])
"""
        )
        self.assertEqual(chart.keys(), {"type", "title", "elements"})
        self.assertEqual((chart["type"], chart["title"]), ("superchart", "Both"))
        types = [(each["type"], each["title"]) for each in chart["elements"]]
        self.assertEqual(types, [("line", "Left"), ("scatter", None)])
        chart = await self.chart("figure, axes = plt.subplots(2); axes[0].pie([1])")
        self.assertEqual(chart["title"], "")
        self.assertEqual([each["type"] for each in chart["elements"]], ["pie", "line"])

    async def test_other_drawings_have_the_type_unknown(self) -> None:
        for code in (
            "plt.gca().add_artist(plt.Circle((0, 0), 1)); plt.grid(True)",
            "plt.imshow([[1, 2]])",
            "plt.fill_between([1, 2], [3, 4])",
            "plt.bar(['a'], [1]); plt.plot([1, 2, 3])",
            "plt.figure().add_subplot(projection='3d').plot([1, 2], [3, 4], [5, 6])",
        ):
            chart = await self.chart(f"{code}; plt.title('Other')")
            self.assertEqual(chart, {"type": "unknown", "title": "Other", "elements": []}, code)

    async def test_a_blank_figure_has_no_chart(self) -> None:
        for code in ("figure, axes = plt.subplots(2)", "plt.grid()", "plt.title('No data')"):
            self.assertIsNone(await self.chart(code), code)
        data = await self.shown(f"{START}plt.figure()\nplt.show()")
        self.assertEqual(data.keys(), {"text/plain"})

    async def test_a_figure_is_shown_with_its_chart_at_the_end_of_a_cell_too(self) -> None:
        chart = await self.chart("%matplotlib inline\nlines = plt.plot([1, 2, 3])", "")
        self.assertEqual(chart["type"], "line")
        code = f"{START}figure = plt.figure(); lines = plt.plot([1, 2, 3]); plt.close(); figure"
        self.assertEqual((await self.shown(code))["e2b/chart"]["type"], "line")

    async def test_each_figure_of_a_cell_has_its_own_chart(self) -> None:
        shown = await self.run_cell(
            START
            + """
for number in range(3):
    lines = plt.plot([number] * 3)
    plt.show()
"""
        )
        ys = [each["e2b/chart"]["elements"][0]["points"][0][1] for each in shown]
        self.assertEqual(ys, [0, 1, 2])

    async def test_a_figure_that_cannot_be_read_has_no_chart(self) -> None:
        broken = """
plt.plot([1, 2, 3])
def fails(*args, **kwargs): raise ValueError
plt.gca().lines[0].get_xdata = fails
"""
        self.assertIsNone(await self.chart("plt.plot([1, 2, 3])\nplt.gca().get_title = 1"))
        self.assertIsNone(await self.chart(broken.replace("get_xdata", "get_label"), "plt.show()"))

    async def test_a_chart_that_is_too_large_is_left_out_and_its_picture_stays(self) -> None:
        self.assertIsNone(await self.chart("plt.plot(np.arange(100_000))"))
        chart = await self.chart("plt.plot(np.arange(50_000))")
        self.assertEqual(len(chart["elements"][0]["points"]), 50_000)

    async def test_reading_a_figure_does_not_change_it(self) -> None:
        drawn = (
            START
            + """
import io
def draw():
    plt.close("all")
    figure, axes = plt.subplots()
    axes.boxplot([[1, 2, 9]], patch_artist=True); axes.set_xlabel("x")
    return figure
def picture(figure):
    file = io.BytesIO(); figure.savefig(file, format="raw"); return file.getvalue()
figure = draw()
from cellhouse_kernel.e2b.charts import chart_of
assert chart_of(figure)["type"] == "box_and_whisker"
assert picture(figure) == picture(draw())
plt.close("all")
"""
        )
        self.assertEqual(await self.run_cell(drawn), [])
