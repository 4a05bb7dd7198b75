"""Any bytes from the link give messages or a refusal, in bounded memory. Messages of honest processes arrive."""

from __future__ import annotations

import json
import random
import unittest

from cellhouse_agent.json_values import MAX_JSON_VALUES, MalformedMessage
from cellhouse_agent.kernel.link import (
    MAX_NAME_BYTES,
    MAX_SENDERS,
    Assembled,
    Assembler,
    read_message,
    split_messages,
)
from cellhouse_kernel.packets import MAX_PACKET_BYTES, PACKET_HEAD, pack_parts, packets
from tests.random_json import any_content, any_text
from tests.seeded import SEED, seeds

KERNEL = 7
MAX_BYTES = 3 * MAX_PACKET_BYTES


def any_message(source: random.Random) -> bytes:
    """A message as a kernel packs it, with anything in it."""
    content = json.dumps(any_content(source), ensure_ascii=source.random() < 0.5)
    return pack_parts(
        (
            source.choice((b"iopub", b"shell", b"control", b"")),
            any_text(source).encode("utf-8", "surrogatepass"),
            any_text(source).encode("utf-8", "surrogatepass"),
            b"{}",
            content.encode("utf-8", "surrogatepass"),
            *[b"buffer"] * source.randrange(3),
        )
    )


def damaged(source: random.Random, data: bytes) -> bytes:
    """The data with bytes changed, lost or added."""
    changed = bytearray(data)
    for _ in range(source.randrange(6)):
        at = source.randrange(len(changed) + 1)
        changed[at : at + source.randrange(3)] = source.randbytes(source.randrange(3))
    return bytes(changed)


class RandomMessageTest(unittest.TestCase):
    """split_messages and read_message."""

    def test_bytes_are_messages_or_refused(self) -> None:
        read = 0
        for seed in seeds(10_000):
            source = random.Random(seed)
            data = any_message(source)
            if source.random() < 0.7:
                data = damaged(source, data)
            elif source.random() < 0.3:
                data = source.randbytes(source.randrange(200))
            size = len(data) + source.choice((0, 0, 10**9))
            with self.subTest(seed=seed):
                read += self.read(Assembled(data, size, size == len(data)))
        self.assertGreater(read, 1_000)

    def read(self, assembled: Assembled) -> int:
        """Check the messages in `assembled`; returns how many there are."""
        try:
            messages = [read_message(*each) for each in split_messages(assembled)]
        except MalformedMessage:
            return 0
        for channel, message in messages:
            self.assertIn(channel, ("shell", "iopub"))
            self.assertLessEqual(len(message.msg_type), MAX_NAME_BYTES)
            self.assertLessEqual(len(message.parent_msg_id), MAX_NAME_BYTES)
            self.assertIsInstance(message.content, dict)
        return len(messages)

    def test_content_of_any_count_of_values_is_parsed_or_left_out(self) -> None:
        for values in (MAX_JSON_VALUES // 3, MAX_JSON_VALUES + 1):
            for value in (b"1", b'"x"', b"{}", b'{"a":[]}'):
                content = b'{"data":[' + b",".join([value] * values) + b"]}"
                data = pack_parts((b"iopub", b"display_data", b"m", b"{}", content))
                with self.subTest(values=values, value=value):
                    ((parts, size),) = split_messages(Assembled(data, len(data), True))
                    _, message = read_message(parts, size)
                    # `{"a":[]}` counts as three values (an empty list is two), so a third of the limit is too many.
                    is_left_out = values > MAX_JSON_VALUES or value == b'{"a":[]}'
                    self.assertEqual(message.content == {}, is_left_out)


class RandomPacketTest(unittest.TestCase):
    """Assembler."""

    def test_messages_of_an_honest_process_arrive_once_and_in_order(self) -> None:
        for seed in seeds(300):
            with self.subTest(seed=seed):
                self.play(random.Random(seed))

    def play(self, source: random.Random) -> None:
        """Send the packets of a kernel, mixed with those of others, and some of them twice."""
        assembler = Assembler(MAX_BYTES)
        sent: list[bytes] = []
        heard: list[bytes] = []
        number = 1
        for index in range(source.randrange(1, 12)):
            # The message takes one or two packets. Packets of other processes are small, so there is always room.
            data = b"%d:" % index + source.randbytes(8) * source.choice(
                (1, 1, MAX_PACKET_BYTES // 6)
            )
            sent.append(data)
            for packet_number, packet in packets(data, KERNEL, number):
                number = packet_number + 1
                for each in (packet,) * source.choice((1, 1, 2)):
                    heard += self.heard(assembler, each)
                for _ in range(source.randrange(4)):
                    self.heard(assembler, self.noise(source))
        self.assertEqual(heard, sent)

    def heard(self, assembler: Assembler, packet: bytes) -> list[bytes]:
        """The messages that a packet completes."""
        try:
            done = assembler.take(packet)
        except MalformedMessage:
            return []
        bound = MAX_BYTES + MAX_SENDERS * MAX_PACKET_BYTES
        self.assertLessEqual(assembler.held_bytes, bound)
        return [assembled.data for assembled in done if assembled.is_whole]

    def noise(self, source: random.Random) -> bytes:
        """A packet of another process, or bytes that are not a packet."""
        if source.random() < 0.3:
            return source.randbytes(source.randrange(PACKET_HEAD.size))
        sender = source.randrange(1_000, 1_000 + 2 * MAX_SENDERS)
        number = source.choice((0, 1, 5, source.randrange(2**64), 2**64 - 1))
        head = PACKET_HEAD.pack(sender, number, source.random() < 0.5, source.random() < 0.5)
        return head + source.randbytes(source.randrange(50))

    def test_holds_no_more_than_its_bound_whoever_sends(self) -> None:
        source = random.Random(SEED)
        assembler = Assembler(MAX_BYTES)
        body = bytes(MAX_PACKET_BYTES)
        for _ in range(5_000):
            is_first = source.random() < 0.5
            head = PACKET_HEAD.pack(
                source.randrange(2**32), source.randrange(2**64), is_first, True
            )
            self.heard(assembler, head + body[: source.choice((0, 1, MAX_PACKET_BYTES))])


if __name__ == "__main__":
    unittest.main()
