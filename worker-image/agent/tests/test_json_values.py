"""Counting the values of a JSON text without parsing it."""

from __future__ import annotations

import json
import random
import unittest
from typing import Any

from cellhouse_agent.json_values import holds_more_than
from tests.seeded import seeds

ODD_TEXTS = ("", ",", "[", "{", '"', "\\", '\\"', '",[{"', '\\\\"', "\n,", "\ud800,", "正,")


def any_json(source: random.Random, depth: int) -> Any:
    """A random JSON value."""
    kind = source.randrange(6 if depth else 4)
    if kind < 2:
        return "".join(source.choices(ODD_TEXTS, k=source.randrange(4)))
    if kind < 4:
        return source.choice((0, -1.5, True, None, 10**30))
    items = [any_json(source, depth - 1) for _ in range(source.randrange(5))]
    if kind == 4:
        return items
    return {source.choice(ODD_TEXTS) + str(n): item for n, item in enumerate(items)}


def count(value: Any) -> int:
    """The number of values in `value`, itself included; an empty list or object counts twice."""
    if not isinstance(value, dict | list):
        return 1
    items = list(value.values()) if isinstance(value, dict) else value
    return 1 + (sum(map(count, items)) if items else 1)


class HoldsMoreThanTest(unittest.TestCase):
    """holds_more_than."""

    def test_counts_what_the_parser_makes(self) -> None:
        for seed in seeds(2_000):
            source = random.Random(seed)
            value = any_json(source, 4)
            text = json.dumps(value, ensure_ascii=source.random() < 0.5)
            values = count(value)
            with self.subTest(seed=seed, text=text):
                self.assertFalse(holds_more_than(values, text))
                if len(text) > 2 * (values - 1):
                    self.assertTrue(holds_more_than(values - 1, text))

    def test_counts_very_long_texts_right(self) -> None:
        commas = "," * 2_000
        self.assertTrue(holds_more_than(1_000, '"' * 1_000_000 + commas))
        self.assertTrue(holds_more_than(1_000, '"x",' * 250_000))
        # All commas are within a string.
        self.assertFalse(holds_more_than(1_000, '"' + '\\"' * 500_000 + commas))
        self.assertFalse(holds_more_than(1_000, "\\" * 1_000_000 + '"' + commas))


if __name__ == "__main__":
    unittest.main()
