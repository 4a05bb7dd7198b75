"""Room in the replay buffer for executions that run at the same time."""

from __future__ import annotations

import random
import unittest

from cellhouse_agent.gateway.frames import MAX_SHARE, FrameWriter, ReplayBuffer, Shares
from tests.seeded import SEED

CAPACITY_BYTES = 100_000
CONTENT = b'{"name":"stdout","text":"%s"}' % (b"x" * 400)
FLOOD, OTHER = b'{"msg_id":"flood"}', b'{"msg_id":"other"}'


class SharesTest(unittest.IsolatedAsyncioTestCase):
    """Executions that print as much as they can while no gateway acknowledges."""

    async def asyncSetUp(self) -> None:
        self.buffer = ReplayBuffer(CAPACITY_BYTES)
        self.writer = FrameWriter(self.buffer, "boot", CAPACITY_BYTES)

    def print_all(self, owner: bytes) -> int:
        """Print until nothing more is kept; returns the bytes that this took."""
        before = self.buffer.size_bytes
        while self.writer.output("stream", owner, CONTENT):
            pass
        return self.buffer.size_bytes - before

    async def test_an_execution_that_runs_alone_gets_all_the_room(self) -> None:
        self.writer.status("busy", FLOOD)
        self.assertGreater(self.print_all(FLOOD), 0.95 * CAPACITY_BYTES)

    async def test_an_execution_beside_another_leaves_half_of_the_room(self) -> None:
        self.writer.status("busy", FLOOD)
        self.writer.status("busy", OTHER)
        self.assertLessEqual(self.print_all(FLOOD), MAX_SHARE * CAPACITY_BYTES)
        self.assertGreater(self.print_all(OTHER), 0.4 * CAPACITY_BYTES)

    async def test_an_execution_gets_the_rest_when_the_other_has_ended(self) -> None:
        self.writer.status("busy", FLOOD)
        self.writer.status("busy", OTHER)
        self.print_all(FLOOD)
        self.writer.reply(OTHER, {}, {})
        self.assertGreater(self.print_all(FLOOD), 0.4 * CAPACITY_BYTES)

    async def test_acknowledged_output_does_not_count(self) -> None:
        self.writer.status("busy", FLOOD)
        self.writer.status("busy", OTHER)
        self.print_all(FLOOD)
        self.buffer.ack(self.buffer.last_seq)
        self.assertGreater(self.print_all(FLOOD), 0.4 * CAPACITY_BYTES)

    def test_counts_the_bytes_of_each_owner_in_any_order(self) -> None:
        dice = random.Random(SEED)
        shares = Shares()
        held: list[tuple[bytes, int]] = []
        seq = freed = 0
        owners = (b"a", b"b", b"c")
        for owner in owners:
            shares.begin(owner)
        for _ in range(5_000):
            if len(held) > freed and dice.random() < 0.5:
                freed += 1
                shares.free(freed, held[freed - 1][1])
            else:
                seq += 1
                held.append((dice.choice(owners), dice.randint(1, 9)))
                shares.add(held[-1][0], seq, held[-1][1])
            for owner in owners:
                size = sum(size for name, size in held[freed:] if name == owner)
                self.assertTrue(shares.may_hold(owner, 0, 2 * size))
                self.assertFalse(shares.may_hold(owner, 1, 2 * size))


if __name__ == "__main__":
    unittest.main()
