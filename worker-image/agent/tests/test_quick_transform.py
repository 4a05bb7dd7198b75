"""Cells are transformed as IPython does it, whether or not QuickTransformerManager takes its fast path."""

import itertools
import random
import unittest
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from cellhouse_kernel.quick_shell import SPECIAL, QuickTransformerManager
from tests.seeded import SEED

PLAIN = (
    "",
    "1+1",
    "a = 3\nb != a\n",
    "def f():\n    if 1:\n        return 2\n    return 3\n\n\nf()",
    "x = [\n  1,\n    2,\n]\n",
    "'''\n text\n'''",
    "# a remark\nprint(1 % 2)",
    "a = 1; b = 2;",
    "if 1:\n        a = (1,\n    2)\n",
)
OTHER = (
    "f'{1!r}'",
    "%time 1",
    "%%time\n1",
    "!ls",
    "!!ls",
    "a = !ls",
    "a = %pwd",
    "a = \\\n!ls",
    "len?",
    "?len",
    "  a = 1\n  b = 2",
    "\n\na = 1",
    ">>> 1",
    "... 1",
    "In [1]: 1",
    "  In [1]: 1",
    "   ...: 1",
    "/len a",
    ",len a",
    ";len a",
    "if 1:\n    !ls\n",
    "if 1:\n    %pwd\n",
)
PIECES = (
    "a|1| = |\n|\n    |\n        |\n   | |!|%|?|/|,|;|\\\n|if a:|def f(a):|await a"
    "|(|)|'|'''|#|>>> |...|In [1]: |!=|\t|\r|\f|\x1c"
).split("|")
CELLS = 20_000


def outcome(manager: Any, cell: str) -> Any:
    """The transformed cell, or the exception."""
    try:
        return manager.transform_cell(cell)
    except Exception as error:
        return type(error), str(error)


class QuickTransform(unittest.TestCase):
    """QuickTransformerManager, compared with IPython's own manager."""

    def setUp(self) -> None:
        self.quick = QuickTransformerManager()
        theirs: Any = TransformerManager
        self.theirs = theirs()

    def assert_same(self, cell: str) -> None:
        """Check that both managers give the same outcome for a cell."""
        self.assertEqual(outcome(self.quick, cell), outcome(self.theirs, cell), repr(cell))

    def test_transforms_code_as_ipython_does(self) -> None:
        for cell in (*PLAIN, *OTHER):
            for end in ("", "\n", "\n\n"):
                self.assert_same(cell + end)

    def test_reports_wrong_indents_as_ipython_does(self) -> None:
        for cell in ("if 1:\n    a\n  b", "if 1:\n\ta\n        b", "if 1:\n        a\n    b"):
            self.assert_same(cell)

    def test_takes_the_fast_path_for_plain_code(self) -> None:
        for cell in PLAIN:
            self.assertIsNone(SPECIAL.search(cell), repr(cell))

    def test_transforms_random_pieces_as_ipython_does(self) -> None:
        chance = random.Random(SEED)
        for _ in range(CELLS):
            self.assert_same("".join(chance.choices(PIECES, k=chance.randint(1, 9))))

    def test_transforms_any_two_pieces_as_ipython_does(self) -> None:
        for pieces in itertools.product(PIECES, repeat=2):
            self.assert_same("".join(("a", *pieces, "a")))
            self.assert_same("".join(pieces))

    def test_heeds_transformers_of_the_user(self) -> None:
        for name in ("cleanup_transforms", "line_transforms"):
            with self.subTest(name):
                self.setUp()
                getattr(self.quick, name).append(lambda lines: [*lines, "more\n"])
                self.assertEqual(self.quick.transform_cell("1"), "1\nmore\n")
                getattr(self.quick, name).pop()
                self.assertEqual(self.quick.transform_cell("1"), "1\n")


if __name__ == "__main__":
    unittest.main()
