"""The assembler puts messages together from any packets."""

from __future__ import annotations

import unittest

from cellhouse_agent.json_values import MalformedMessage
from cellhouse_agent.kernel.link import MAX_SENDERS, Assembler
from cellhouse_kernel.packets import MAX_PACKET_BYTES, packets

MAX_BYTES = 5 * MAX_PACKET_BYTES
KERNEL = 7
CHILD = 8


def made(data: bytes, sender: int = KERNEL, first_number: int = 1) -> list[bytes]:
    """The packets of a message."""
    return [packet for _, packet in packets(data, sender, first_number)]


class AssemblerTest(unittest.TestCase):
    """One assembler, which may hold MAX_BYTES of unfinished messages."""

    def setUp(self) -> None:
        self.assembler = Assembler(MAX_BYTES)

    def take(self, sent: list[bytes]) -> list[bytes]:
        """The messages that these packets complete."""
        got = [assembled for packet in sent for assembled in self.assembler.take(packet)]
        return [assembled.data for assembled in got if assembled.is_whole]

    def test_gives_a_message_of_one_packet(self) -> None:
        self.assertEqual(self.take(made(b"abc")), [b"abc"])

    def test_joins_a_message_of_several(self) -> None:
        data = b"0123456789" * (MAX_PACKET_BYTES // 4)
        sent = made(data)
        self.assertGreater(len(sent), 2)
        self.assertEqual(self.take(sent), [data])

    def test_drops_a_message_that_was_sent_again(self) -> None:
        first, second = made(b"a"), made(b"b", first_number=2)
        self.assertEqual(self.take([*first, *first, *second, *second]), [b"a", b"b"])

    def test_takes_a_message_whose_number_a_forged_message_has_used(self) -> None:
        forged = [*made(b"x", first_number=2**64 - 1), *made(b"y"), *made(b"z")]
        self.assertEqual(self.take([*forged, *made(b"a")]), [b"x", b"y", b"z", b"a"])

    def test_takes_messages_of_a_new_process_with_the_pid_of_an_ended_one(self) -> None:
        earlier = [*made(b"a", CHILD), *made(b"b", CHILD, 2)]
        self.assertEqual(self.take([*earlier, *made(b"c", CHILD)]), [b"a", b"b", b"c"])

    def test_gives_up_an_unfinished_message_when_its_sender_begins_another(self) -> None:
        beginning, _ = made(b"x" * (2 * MAX_PACKET_BYTES))
        torn, whole = self.assembler.take(beginning) + self.assembler.take(*made(b"a"))
        self.assertEqual((torn.size_bytes, torn.is_whole), (MAX_PACKET_BYTES, False))
        self.assertEqual((whole.data, self.assembler.held_bytes), (b"a", 0))

    def test_refuses_a_packet_whose_message_has_no_beginning(self) -> None:
        _, end = made(b"x" * (2 * MAX_PACKET_BYTES))
        with self.assertRaises(MalformedMessage):
            self.assembler.take(end)
        self.assertEqual(self.take(made(b"a")), [b"a"])

    def test_forgets_senders_without_an_unfinished_message_first(self) -> None:
        first, last = made(data := b"x" * (2 * MAX_PACKET_BYTES))
        self.take([first])
        for sender in range(100, 100 + 2 * MAX_SENDERS):
            self.take(made(b"child", sender))
        self.assertEqual(self.take([last]), [data])

    def test_returns_the_head_of_a_message_whose_sender_it_must_forget(self) -> None:
        first, _ = made(b"x" * (2 * MAX_PACKET_BYTES))
        self.take([first])
        torn = []
        for sender in range(100, 100 + MAX_SENDERS):
            torn += self.assembler.take(made(b"y" * (2 * MAX_PACKET_BYTES), sender)[0])
        self.assertEqual([each.data for each in torn], [b"x" * MAX_PACKET_BYTES])

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
        (done,) = self.assembler.take(last)
        self.assertEqual(
            (len(done.data), done.size_bytes, done.is_whole), (MAX_PACKET_BYTES, len(data), False)
        )
        self.assertEqual(self.take(made(b"next", first_number=100)), [b"next"])

    def test_bounds_the_unfinished_messages_of_many_senders(self) -> None:
        unfinished = b"x" * (4 * MAX_PACKET_BYTES)
        for sender in range(3 * MAX_SENDERS):
            self.take(made(unfinished, sender)[:-1])
        self.assertLessEqual(self.assembler.held_bytes, MAX_BYTES + MAX_SENDERS * MAX_PACKET_BYTES)

    def test_refuses_bytes_that_are_no_packet(self) -> None:
        with self.assertRaises(MalformedMessage):
            self.assembler.take(b"short")


if __name__ == "__main__":
    unittest.main()
