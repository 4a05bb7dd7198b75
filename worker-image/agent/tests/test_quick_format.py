"""Results are shown as IPython shows them, whether or not QuickFormatter takes its fast path."""

import unittest
from typing import Any

from IPython.core.formatters import DisplayFormatter

from cellhouse_kernel.quick_shell import QuickFormatter


class Derived(int):
    """A number with an HTML representation of its own."""

    def _repr_html_(self) -> str:
        return "<b>derived</b>"


PLAIN: tuple[object, ...] = (
    1,
    -2.5,
    1j,
    True,
    "a'b",
    b"\0",
    None,
    [1, [2]],
    (3,),
    {"a": 1},
    {4},
    frozenset(),
    range(3),
)


class QuickFormat(unittest.TestCase):
    """QuickFormatter, compared with IPython's own formatter."""

    def setUp(self) -> None:
        self.quick: Any = QuickFormatter()
        self.theirs: Any = DisplayFormatter()

    def assert_same(self, value: Any, **kwargs: Any) -> None:
        """Check that both show the value the same."""
        self.assertEqual(self.quick.format(value, **kwargs), self.theirs.format(value, **kwargs))

    def test_shows_plain_values_as_ipython_does(self) -> None:
        values = (*PLAIN, "x" * 5_000, "a\n\u2028", 10**4_000, -(2**2_000), b"\n")
        for value in (*values, list(range(3_000)), Derived(1), object, [Derived(1)]):
            with self.subTest(type(value)):
                self.assert_same(value)

    def test_uses_the_representation_of_a_derived_type(self) -> None:
        self.assertIn("text/html", self.quick.format(Derived(1))[0])

    def test_heeds_include_and_exclude(self) -> None:
        self.assert_same(1, include={"text/html"})
        self.assert_same(1, exclude={"text/plain"})

    def test_heeds_printers_for_plain_types(self) -> None:
        for kind, mime in ((int, "text/html"), (object, "text/html"), (int, "text/plain")):
            with self.subTest(f"{kind} {mime}"):
                self.setUp()
                for formatter in (self.quick, self.theirs):
                    printer = formatter.formatters[mime]
                    if mime == "text/plain":
                        printer.for_type(kind, lambda value, p, cycle: p.text("own"))
                    else:
                        printer.for_type(kind, lambda value: "<i>own</i>")
                self.assert_same(7)
                self.assertIn("own", self.quick.format(7)[0][mime])

    def test_heeds_printers_named_before_their_type_is_loaded(self) -> None:
        for formatter in (self.quick, self.theirs):
            formatter.formatters["text/html"].for_type_by_name("later", "Later", str)
        self.assert_same(7)

    def test_heeds_formatters_that_were_taken_away(self) -> None:
        for formatter in (self.quick, self.theirs):
            del formatter.formatters["text/plain"]
        self.assert_same(7)


if __name__ == "__main__":
    unittest.main()
