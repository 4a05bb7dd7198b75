"""Input in any parts, sent any number of times: each byte is read once, in order."""

import asyncio
import random
import unittest
from unittest import mock

from cellhouse_agent.executions import inputs
from cellhouse_agent.executions.inputs import (
    MAX_UNREAD_BYTES,
    InputBuffer,
    InputPart,
    Inputs,
    OutOfOrder,
    Taken,
)
from tests.seeded import seeds


def read_all(buffer: InputBuffer) -> bytes:
    """Read all unread bytes."""
    data = buffer.peek(MAX_UNREAD_BYTES)
    buffer.skip(len(data))
    return data


class Parts(unittest.TestCase):
    """InputBuffer.take."""

    def test_random_parts_are_read_once_and_in_order(self) -> None:
        for seed in seeds(200):
            randomly = random.Random(seed)
            data = randomly.randbytes(randomly.randrange(2_000))
            buffer, found = InputBuffer(), b""
            while not buffer.is_closed:
                accepted = buffer.accepted
                offset = randomly.randrange(len(data) + 2)
                part = data[offset : offset + randomly.randrange(500)]
                is_last = offset + len(part) >= len(data)
                if offset > accepted:
                    with self.assertRaises(OutOfOrder) as refused:
                        buffer.take(offset, part, is_last)
                    self.assertEqual(refused.exception.accepted, accepted)
                    continue
                self.assertFalse(buffer.take(offset, part, is_last))
                self.assertEqual(buffer.accepted, max(accepted, offset + len(part)))
                if randomly.random() < 0.5:
                    found += read_all(buffer)
            found += read_all(buffer)
            self.assertEqual(found, data)
            self.assertTrue(buffer.has_ended)

    def test_nothing_is_taken_after_the_last_part(self) -> None:
        buffer = InputBuffer()
        buffer.take(0, b"ab", True)
        self.assertFalse(buffer.take(0, b"ab", True))
        self.assertFalse(buffer.take(2, b"c", False))
        self.assertEqual((buffer.accepted, read_all(buffer)), (2, b"ab"))

    def test_takes_the_bytes_that_fit_and_is_closed_only_after_the_rest(self) -> None:
        buffer = InputBuffer()
        buffer.take(0, b"x" * (MAX_UNREAD_BYTES - 1), False)
        self.assertTrue(buffer.take(MAX_UNREAD_BYTES - 1, b"abc", True))
        self.assertEqual((buffer.accepted, buffer.is_closed), (MAX_UNREAD_BYTES, False))
        buffer.skip(MAX_UNREAD_BYTES)
        self.assertFalse(buffer.take(MAX_UNREAD_BYTES - 1, b"abc", True))
        self.assertEqual((read_all(buffer), buffer.is_closed), (b"bc", True))

    def test_a_dropped_buffer_accepts_everything_and_keeps_nothing(self) -> None:
        buffer = InputBuffer()
        buffer.take(0, b"ab", False)
        buffer.drop()
        self.assertFalse(buffer.take(0, b"x" * 3 * MAX_UNREAD_BYTES, False))
        self.assertEqual((buffer.accepted, read_all(buffer)), (3 * MAX_UNREAD_BYTES, b""))


class Lines(unittest.TestCase):
    """InputBuffer.take_line."""

    def test_reads_line_by_line_and_the_rest_at_the_end(self) -> None:
        buffer = InputBuffer()
        buffer.take(0, b"one\n\ntwo", False)
        self.assertEqual(
            [buffer.take_line() for _ in range(3)], [(b"one\n", True), (b"\n", True), None]
        )
        buffer.take(8, b"", True)
        self.assertEqual(
            [buffer.take_line() for _ in range(3)], [(b"two", True), *[(b"", True)] * 2]
        )

    def test_a_line_that_does_not_fit_comes_in_pieces(self) -> None:
        buffer = InputBuffer()
        buffer.take(0, b"x" * MAX_UNREAD_BYTES, False)
        self.assertEqual(buffer.take_line(), (b"x" * MAX_UNREAD_BYTES, False))
        self.assertIsNone(buffer.take_line())
        buffer.take(MAX_UNREAD_BYTES, b"y\nz", False)
        self.assertEqual(buffer.take_line(), (b"y\n", True))


class Waiting(unittest.IsolatedAsyncioTestCase):
    """Inputs.take."""

    async def asyncSetUp(self) -> None:
        self.inputs = Inputs()
        self.inputs.begin("1")
        buffer = self.inputs.of("1")
        assert buffer
        self.buffer = buffer
        await self.inputs.take(InputPart("1", 0, b"x" * MAX_UNREAD_BYTES, False))

    async def test_waits_for_room(self) -> None:
        later = asyncio.create_task(
            self.inputs.take(InputPart("1", MAX_UNREAD_BYTES, b"abc", True))
        )
        await asyncio.sleep(0)
        for _ in range(3):
            self.assertFalse(later.done())
            self.buffer.skip(1)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        self.assertEqual(await later, Taken(True, MAX_UNREAD_BYTES + 3, True))

    async def test_without_room_reports_how_much_was_taken(self) -> None:
        self.enterContext(mock.patch.object(inputs, "HOLD_SECONDS", 0.1))
        self.buffer.skip(1)
        taken = await self.inputs.take(InputPart("1", MAX_UNREAD_BYTES, b"abc", True))
        self.assertEqual(taken, Taken(True, MAX_UNREAD_BYTES + 1, False))

    async def test_the_end_of_the_execution_ends_the_waiting(self) -> None:
        later = asyncio.create_task(
            self.inputs.take(InputPart("1", MAX_UNREAD_BYTES, b"abc", True))
        )
        await asyncio.sleep(0)
        self.inputs.end("1")
        self.assertEqual(await later, Taken(False, 0, False))
        self.assertEqual(
            await self.inputs.take(InputPart("1", 0, b"", False)), Taken(False, 0, False)
        )


if __name__ == "__main__":
    unittest.main()
