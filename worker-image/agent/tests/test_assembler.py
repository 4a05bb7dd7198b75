"""Messages put together from packets, whatever the packets are."""

from __future__ import annotations

import unittest

from cellhouse_agent.assembler import MAX_SENDERS, Assembler
from cellhouse_agent.wire import MalformedMessage
from cellhouse_kernel.packets import MAX_PACKET_BYTES, packets

MAX_BYTES = 5 * MAX_PACKET_BYTES
KERNEL = 7
CHILD = 8


def made(data: bytes, sender: int = KERNEL, first_number: int = 1) -> list[bytes]:
    """The packets of a message."""
    return [packet for _, packet in packets(data, sender, first_number)]


class AssemblerTest(unittest.TestCase):
    """One assembler, which holds at most MAX_BYTES of unfinished messages."""

    def setUp(self) -> None:
        self.assembler = Assembler(MAX_BYTES)

    def take(self, sent: list[bytes]) -> list[bytes]:
        """The messages that these packets complete."""
        got = [self.assembler.take(packet) for packet in sent]
        return [assembled.data for assembled in got if assembled]

    def test_gives_a_message_of_one_packet(self) -> None:
        self.assertEqual(self.take(made(b"abc")), [b"abc"])

    def test_joins_a_message_of_several(self) -> None:
        data = b"0123456789" * (MAX_PACKET_BYTES // 4)
        sent = made(data)
        self.assertGreater(len(sent), 2)
        self.assertEqual(self.take(sent), [data])

    def test_drops_what_was_sent_again(self) -> None:
        first, second = made(b"a"), made(b"b", first_number=2)
        self.assertEqual(self.take([*first, *first, *second, *first, *second]), [b"a", b"b"])

    def test_drops_a_packet_that_was_sent_again_within_a_message(self) -> None:
        data = b"x" * (2 * MAX_PACKET_BYTES)
        first, second = made(data)
        self.assertEqual(self.take([first, first, second, second]), [data])

    def test_keeps_processes_apart_that_send_at_the_same_time(self) -> None:
        ours, theirs = b"k" * (2 * MAX_PACKET_BYTES), b"c" * (2 * MAX_PACKET_BYTES)
        mixed = [
            packet for pair in zip(made(ours), made(theirs, CHILD), strict=True) for packet in pair
        ]
        self.assertEqual(self.take(mixed), [ours, theirs])

    def test_keeps_only_the_head_of_a_message_that_is_too_large(self) -> None:
        data = b"x" * (2 * MAX_BYTES)
        *first, last = made(data)
        self.assertEqual(self.take(first), [])
        done = self.assembler.take(last)
        assert done
        self.assertEqual(
            (len(done.data), done.size_bytes, done.is_whole), (MAX_PACKET_BYTES, len(data), False)
        )
        self.assertEqual(self.take(made(b"next", first_number=100)), [b"next"])

    def test_bounds_what_many_senders_leave_unfinished(self) -> None:
        unfinished = b"x" * (4 * MAX_PACKET_BYTES)
        for sender in range(3 * MAX_SENDERS):
            self.take(made(unfinished, sender)[:-1])
        self.assertLessEqual(self.assembler.held_bytes, MAX_BYTES + MAX_SENDERS * MAX_PACKET_BYTES)

    def test_refuses_what_is_no_packet(self) -> None:
        with self.assertRaises(MalformedMessage):
            self.assembler.take(b"short")


if __name__ == "__main__":
    unittest.main()
