"""The replay buffer: numbering, acknowledging, bounds, waking."""

from __future__ import annotations

import asyncio
import json
import unittest

from cellhouse_agent.gateway.frames import FRAME_OVERHEAD_BYTES, ReplayBuffer


class ReplayBufferTest(unittest.IsolatedAsyncioTestCase):
    """One buffer of 1000 bytes, with a clock that stands still."""

    def setUp(self) -> None:
        self.buffer = ReplayBuffer(1_000, now=lambda: 12.5)

    async def test_numbers_frames_from_one_and_stamps_them(self) -> None:
        self.assertEqual((self.buffer.first_seq, self.buffer.last_seq), (1, 0))
        self.assertEqual(self.buffer.append([b'"a":1}']), 1)
        self.assertEqual(self.buffer.append([b'"a":2}']), 2)
        frame = self.buffer.get(2)
        self.assertIsNotNone(frame)
        self.assertEqual(json.loads(frame or b""), {"seq": 2, "at": 12500.0, "a": 2})

    async def test_frees_acknowledged_frames_only(self) -> None:
        for _ in range(5):
            self.buffer.append([b'"a":1}'])
        self.buffer.ack(3)
        self.assertEqual((self.buffer.first_seq, self.buffer.last_seq), (4, 5))
        self.assertIsNone(self.buffer.get(3))
        self.assertIsNotNone(self.buffer.get(4))
        self.buffer.ack(2)
        self.assertEqual(self.buffer.first_seq, 4)
        self.buffer.ack(5)
        self.assertEqual((self.buffer.first_seq, self.buffer.size_bytes), (6, 0))

    async def test_ignores_a_seq_beyond_its_last(self) -> None:
        self.buffer.append([b'"a":1}'])
        self.buffer.ack(2)
        self.assertEqual(self.buffer.first_seq, 1)

    async def test_has_room_up_to_its_capacity_and_again_after_an_acknowledgement(self) -> None:
        self.assertTrue(self.buffer.has_room(1_000 - FRAME_OVERHEAD_BYTES))
        self.assertFalse(self.buffer.has_room(1_001 - FRAME_OVERHEAD_BYTES))
        self.buffer.append([b'"a":"', b"x" * 800, b'"}'])
        self.assertFalse(self.buffer.has_room(100))
        self.buffer.ack(1)
        self.assertTrue(self.buffer.has_room(800))

    async def test_never_refuses_status_and_replies(self) -> None:
        for _ in range(20):
            self.buffer.append([b'"a":"', b"x" * 200, b'"}'])
        self.assertEqual(self.buffer.last_seq, 20)
        self.assertGreater(self.buffer.size_bytes, 1_000)

    async def test_wakes_a_reader_that_waits_for_the_next_frame(self) -> None:
        waiting = asyncio.create_task(self.buffer.wait_for(1))
        await asyncio.sleep(0)
        self.assertFalse(waiting.done())
        self.buffer.append([b'"a":1}'])
        await asyncio.wait_for(waiting, 1)

    async def test_a_frame_that_can_wait_is_announced_with_the_next_frame(self) -> None:
        waiting = asyncio.create_task(self.buffer.wait_for(1))
        await asyncio.sleep(0)
        self.buffer.append([b'"a":1}'], can_wait=True)
        await asyncio.sleep(0)
        self.assertFalse(waiting.done())
        self.buffer.append([b'"a":2}'])
        await asyncio.sleep(0)
        self.assertTrue(waiting.done())

    async def test_a_frame_that_can_wait_is_announced_soon_if_nothing_follows(self) -> None:
        waiting = asyncio.create_task(self.buffer.wait_for(1))
        await asyncio.sleep(0)
        self.buffer.append([b'"a":1}'], can_wait=True)
        await asyncio.wait_for(waiting, 1)


if __name__ == "__main__":
    unittest.main()
