"""Which gateway the agent listens to."""

from __future__ import annotations

import unittest

from cellhouse_agent.gateway.gate import SUPERSEDED_CODE, GatewayGate, StaleEpoch


class Connection:
    """A connection that remembers how it was closed."""

    def __init__(self) -> None:
        self.code: int | None = None

    def close(self, code: int, reason: str) -> None:
        """See Closable."""
        self.code = code


class GatewayGateTest(unittest.TestCase):
    """A gate on a clock that tests set."""

    def setUp(self) -> None:
        self.time = 10.0
        self.gate = GatewayGate(lambda: self.time)

    def test_refuses_a_lower_epoch_only(self) -> None:
        self.gate.admit(3)
        self.gate.admit(3)
        self.gate.admit(5)
        with self.assertRaises(StaleEpoch) as caught:
            self.gate.admit(4)
        self.assertEqual(caught.exception.highest, 5)

    def test_closes_a_connection_when_another_replaces_it(self) -> None:
        first, second = Connection(), Connection()
        self.gate.attach(first)
        self.gate.attach(second)
        self.assertEqual((first.code, second.code), (SUPERSEDED_CODE, None))
        self.assertTrue(self.gate.is_current(second))
        self.gate.detach(first)
        self.assertTrue(self.gate.is_current(second))

    def test_ends_the_connection_of_a_lower_epoch_at_once(self) -> None:
        connection = Connection()
        self.gate.admit(1)
        self.gate.attach(connection)
        self.gate.admit(2)
        self.assertEqual(connection.code, SUPERSEDED_CODE)
        self.assertFalse(self.gate.is_current(connection))

    def test_reports_each_higher_epoch_as_a_takeover(self) -> None:
        takeovers: list[str] = []
        self.gate.on_takeover(lambda: takeovers.append("takeover"))
        self.gate.admit(1)
        self.gate.admit(1)
        self.gate.admit(2)
        self.assertEqual(takeovers, ["takeover", "takeover"])

    def test_counts_how_long_no_gateway_has_been_connected(self) -> None:
        self.time = 12
        self.assertEqual(self.gate.alone_seconds(), 2)
        connection = Connection()
        self.gate.attach(connection)
        self.time = 20
        self.assertEqual(self.gate.alone_seconds(), 0)
        self.gate.detach(connection)
        self.time = 21
        self.assertEqual(self.gate.alone_seconds(), 1)


if __name__ == "__main__":
    unittest.main()
