"""Tables, lists and dicts are also shown as JSON: with a real kernel. Run as root in the worker image."""

from typing import Any

from tests.e2b.with_sandbox import WithSandbox

TABLE = "import datetime, decimal, math, numpy as np, pandas as pd\npd.DataFrame(%s)"

# A date that has no ISO form.
ODD = """
import datetime
class Odd(datetime.date):
    def isoformat(self): raise ValueError
    def __str__(self): return "odd"
"""


class Tables(WithSandbox):
    """DataFrames of pandas."""

    async def columns(self, code: str) -> Any:
        """The columns in the JSON of the table that `code` makes. Checks that the other formats are the usual ones."""
        data = await self.shown(TABLE % code)
        self.assertEqual(data.keys(), {"text/plain", "text/html", "e2b/data"})
        return data["e2b/data"]

    async def test_a_table_has_its_columns_as_json(self) -> None:
        columns = await self.columns("{'a': [1, 2, 3], 'b': ['x', None, 'z'], 'c': [True] * 3}")
        self.assertEqual(columns, {"a": [1, 2, 3], "b": ["x", None, "z"], "c": [True] * 3})
        self.assertEqual(await self.columns("{}"), {})
        self.assertEqual(await self.columns("{'a': []}"), {"a": []})

    async def test_dates_have_their_iso_form(self) -> None:
        columns = await self.columns(
            """{
    'when': pd.to_datetime(['2024-01-02', None]),
    'zone': pd.to_datetime(['2024-01-02', '2024-01-03']).tz_localize('Asia/Tokyo'),
    'day': [datetime.date(2024, 1, 2), None],
    'mixed': [datetime.datetime(2024, 1, 2, 3), 'x'],
}"""
        )
        self.assertEqual(
            columns,
            {
                "when": ["2024-01-02T00:00:00", None],
                "zone": ["2024-01-02T00:00:00+09:00", "2024-01-03T00:00:00+09:00"],
                "day": ["2024-01-02", None],
                "mixed": ["2024-01-02T03:00:00", "x"],
            },
        )

    async def test_missing_values_and_infinities_are_null(self) -> None:
        columns = await self.columns(
            """{
    'float': [1.5, math.nan, math.inf],
    'integer': pd.array([1, None, 2**60 + 1], 'Int64'),
    'text': pd.array(['x', None, 'z'], 'string'),
    'odd': [np.float32(0.5), np.datetime64('NaT'), pd.NA],
}"""
        )
        self.assertEqual(
            columns,
            {
                "float": [1.5, None, None],
                "integer": [1, None, 2**60 + 1],
                "text": ["x", None, "z"],
                "odd": [0.5, None, None],
            },
        )

    async def test_other_values_are_shown_as_text(self) -> None:
        columns = await self.columns(
            """{
    'span': [pd.Timedelta(hours=1)],
    'decimal': [decimal.Decimal('1.10')],
    'kind': pd.Categorical(['x']),
    'period': pd.PeriodIndex(['2024-01'], freq='M'),
    'list': [[1, {'a': {2}}]],
    'large': [2**70],
}"""
        )
        self.assertEqual(
            columns,
            {
                "span": ["0 days 01:00:00"],
                "decimal": ["1.10"],
                "kind": ["x"],
                "period": ["2024-01"],
                "list": [[1, {"a": "{2}"}]],
                "large": [str(2**70)],
            },
        )

    async def test_names_of_columns_become_text(self) -> None:
        names = "[1, 1.5, None, True, ('a', 2), datetime.date(2024, 1, 2), 'x', 'x']"
        columns = await self.columns(f"[range(8)], columns=pd.Index({names}, dtype=object)")
        expected = {"1": [0], "1.5": [1], "null": [2], "true": [3], "('a', 2)": [4]}
        self.assertEqual(columns, {**expected, "2024-01-02": [5], "x": [7]})
        columns = await self.columns(
            "[[1, 2]], columns=pd.MultiIndex.from_product([['a'], [0, 1]])"
        )
        self.assertEqual(columns, {"('a', 0)": [1], "('a', 1)": [2]})

    async def test_a_table_that_is_too_large_or_fails_is_shown_without_json(self) -> None:
        for code in (
            "np.zeros((100_001, 2))",
            "{'a': ['x' * 1_000_000] * 3}",
            "{'a': [Odd(2024, 1, 2)]}",
        ):
            data = await self.shown(ODD + TABLE % code)
            self.assertEqual(data.keys(), {"text/plain", "text/html"}, code)
        self.assertEqual(len((await self.columns("np.zeros((90_000, 2))"))["0"]), 90_000)

    async def test_other_objects_may_have_data_and_charts(self) -> None:
        data = await self.shown(
            """
class Own:
    def _repr_e2b_data_(self): return {"own": [1]}
    def _repr_e2b_chart_(self): return {"type": "unknown", "title": None, "elements": []}
Own()
"""
        )
        self.assertEqual(data["e2b/data"], {"own": [1]})
        self.assertEqual(data["e2b/chart"]["type"], "unknown")


class ListsAndDicts(WithSandbox):
    """Python's own containers."""

    async def json(self, code: str) -> Any:
        """The JSON of a value."""
        data = await self.shown(
            f"import numpy as np, datetime, math, uuid, enum, collections\n{code}"
        )
        self.assertEqual(data.keys(), {"text/plain", "application/json"})
        return data["application/json"]

    async def test_lists_and_dicts_are_shown_as_json(self) -> None:
        self.assertEqual(
            await self.json("[1, 'a', None, (2.5, True)]"), [1, "a", None, [2.5, True]]
        )
        self.assertEqual(await self.json("{'a': {'b': []}}"), {"a": {"b": []}})
        self.assertEqual(await self.json("[]"), [])
        self.assertEqual(await self.json("collections.Counter('aab')"), {"a": 2, "b": 1})

    async def test_further_types_within_lists_have_json(self) -> None:
        code = (
            "[math.nan, 2**64 - 1, datetime.date(2024, 1, 2), datetime.time(3), uuid.UUID(int=1)]"
        )
        expected = [None, 2**64 - 1, "2024-01-02", "03:00:00", f"{0:08}-0000-0000-0000-{1:012}"]
        self.assertEqual(await self.json(code), expected)
        code = "[np.arange(4).reshape(2, 2), np.int8(1), np.float64('inf'), np.bool_(True), np.longdouble(2)]"
        self.assertEqual(await self.json(code), [[[0, 1], [2, 3]], 1, None, True, 2])
        kind = "enum.Enum('Kind', {'A': 'a'}).A"
        self.assertEqual(await self.json(f"{{{kind}: {kind}}}"), {"a": "a"})
        code = "import dataclasses\n[dataclasses.make_dataclass('Point', ['x'])(1)]"
        self.assertEqual(await self.json(code), [{"x": 1}])

    async def test_keys_become_text(self) -> None:
        code = "{1: 1, 1.5: 2, None: 3, False: 4, datetime.date(2024, 1, 2): 5, np.int64(7): 6}"
        expected = {"1": 1, "1.5": 2, "null": 3, "false": 4, "2024-01-02": 5, "7": 6}
        self.assertEqual(await self.json(code), expected)

    async def test_values_that_are_no_json_or_too_large_are_shown_as_text_only(self) -> None:
        for code in (
            *("[{1}]", "[b'x']", "{(1, 2): 3}", "[object()]", "[2**64]", "[1j]", "[...]"),
            "a = []; a.append(a); a",
            "a = []\nfor _ in range(100): a = [a]\na",
            "[0] * 300_000",
            "['x' * 3_000_000]",
            "import numpy; [numpy.zeros((1_000, 1_000))]",
        ):
            self.assertEqual((await self.shown(code)).keys(), {"text/plain"}, code)

    async def test_long_lists_are_shown_whole(self) -> None:
        data = await self.shown("list(range(20_000))")
        self.assertEqual(len(data["text/plain"].split()), 20_000)
        self.assertEqual(data["application/json"], list(range(20_000)))

    async def test_plain_values_and_raw_data_have_no_json(self) -> None:
        for code in ("1", "'text'", "(1, 2)", "{1, 2}", "1.5", "True"):
            self.assertEqual((await self.shown(code)).keys(), {"text/plain"}, code)
        raw = "from IPython.display import display\ndisplay({'text/latex': 'x'}, raw=True)"
        self.assertEqual(await self.shown(raw), {"text/latex": "x"})
