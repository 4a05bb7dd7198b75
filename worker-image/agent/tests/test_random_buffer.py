"""Compares the replay buffer with a plain list of frames, for any order of appending and acknowledging."""

from __future__ import annotations

import json
import random
import unittest

from cellhouse_agent.gateway.frames import FRAME_OVERHEAD_BYTES, ReplayBuffer
from tests.seeded import seeds

CAPACITY_BYTES = 20_000


class RandomBufferTest(unittest.IsolatedAsyncioTestCase):
    """ReplayBuffer."""

    async def test_holds_exactly_the_frames_that_are_not_acknowledged(self) -> None:
        for seed in seeds(200):
            with self.subTest(seed=seed):
                self.compare(random.Random(seed))

    def compare(self, source: random.Random) -> None:
        """Make random steps with the buffer and with a list, and compare them."""
        buffer = ReplayBuffer(CAPACITY_BYTES, now=lambda: 1.0)
        bodies: list[dict[str, int | str]] = []
        acked = 0
        for _ in range(source.randrange(200)):
            if source.random() < 0.7:
                body: dict[str, int | str] = {"x": "y" * source.randrange(300), "n": len(bodies)}
                bodies.append(body)
                self.assertEqual(buffer.append([json.dumps(body).encode()[1:]]), len(bodies))
            else:
                # The seq may have been acknowledged before. If it is higher than any seq that the buffer has given, it
                # comes from another agent, and `ack` ignores it.
                seq = source.randrange(len(bodies) + 5)
                buffer.ack(seq)
                acked = max(acked, seq) if seq <= len(bodies) else acked
            self.assertEqual((buffer.first_seq, buffer.last_seq), (acked + 1, len(bodies)))
        held = [buffer.get(seq) for seq in range(1, len(bodies) + 1)]
        self.assertEqual(held[:acked], [None] * acked)
        frames = [frame for frame in held if frame is not None]
        expected = [
            {"seq": seq, "at": 1000.0, **body}
            for seq, body in enumerate(bodies, start=1)
            if seq > acked
        ]
        self.assertEqual([json.loads(frame) for frame in frames], expected)
        size = sum(len(frame) + FRAME_OVERHEAD_BYTES for frame in frames)
        self.assertEqual(buffer.size_bytes, size)
        room = CAPACITY_BYTES - size - FRAME_OVERHEAD_BYTES
        most = max(room, 0)
        self.assertEqual((buffer.has_room(most), buffer.has_room(most + 1)), (room >= 0, False))


if __name__ == "__main__":
    unittest.main()
