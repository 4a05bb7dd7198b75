"""A kernel's output arrives in order, joined where possible, and exactly once despite constant interrupts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
import unittest
from collections.abc import Callable, Iterator
from typing import Any

from cellhouse_agent.kernel.link import (
    Assembled,
    Assembler,
    KernelMessage,
    read_message,
    split_messages,
)
from cellhouse_kernel.outbox import (
    FLUSH_SECONDS,
    LINES_AT_ONCE,
    MAX_TEXT_CHARACTERS,
    TOGETHER_BYTES,
    Item,
    Outbox,
    next_message,
    next_messages,
    pack_message,
)
from cellhouse_kernel.packets import MAX_PACKET_BYTES, MAX_TOGETHER, PACKET_HEAD, unpack_parts

SOON_SECONDS = 20.0
INTERRUPT_EVERY_SECONDS = 0.000_2
ATTEMPTS = 100_000


# The message that marks the end of a test's output.
END = KernelMessage("stream", "2", {"name": "stdout", "text": "end"}, 0)


class Interrupted(Exception):
    """Raised by a signal handler, between any two instructions."""


@contextlib.contextmanager
def every(seconds: float, act: Callable[[int, Any], object]) -> Iterator[None]:
    """Call `act` every `seconds` in this thread, between any two instructions."""
    previous = signal.signal(signal.SIGALRM, act)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


class NextMessage(unittest.TestCase):
    """next_message."""

    def test_joins_neighbours_of_one_stream_and_execution(self) -> None:
        message = pack_message(b"iopub", "display_data", "1", b"{}")
        batch: list[Item] = [
            ("stdout", "1", "a"),
            ("stdout", "1", "b"),
            ("stderr", "1", "c"),
            message,
            ("stdout", "1", "d"),
            ("stdout", "2", "e"),
        ]
        got = []
        position = (0, 0)
        while position[0] < len(batch):
            data, position = next_message(batch, position)
            (_, msg_type, parent, _, content), _ = unpack_parts(data)
            got.append((msg_type.decode(), parent.decode(), json.loads(content).get("text")))
        self.assertEqual(
            got,
            [
                ("stream", "1", "ab"),
                ("stream", "1", "c"),
                ("display_data", "1", None),
                ("stream", "1", "d"),
                ("stream", "2", "e"),
            ],
        )

    def test_cuts_long_text(self) -> None:
        batch: list[Item] = [("stdout", "1", "x"), ("stdout", "1", "y" * (2 * MAX_TEXT_CHARACTERS))]
        lengths = []
        position = (0, 0)
        while position[0] < len(batch):
            data, position = next_message(batch, position)
            lengths.append(len(json.loads(unpack_parts(data)[0][4])["text"]))
        self.assertEqual(lengths, [MAX_TEXT_CHARACTERS, MAX_TEXT_CHARACTERS, 1])


class NextMessages(unittest.TestCase):
    """next_messages."""

    def test_sends_small_messages_together_and_large_ones_alone(self) -> None:
        small = pack_message(b"iopub", "status", "1", b"{}")
        large = pack_message(b"iopub", "display_data", "1", b'"%s"' % (b"x" * TOGETHER_BYTES))
        batch: list[Item] = [small, ("stdout", "1", "a"), small, large, small]
        counts = []
        position = (0, 0)
        while position[0] < len(batch):
            data, position = next_messages(batch, position)
            counts.append(len(list(split_messages(Assembled(data, len(data), True)))))
        self.assertEqual(counts, [3, 1, 1])

    def test_sends_no_more_together_than_the_agent_takes(self) -> None:
        smallest = pack_message(b"iopub", "", "", b"")
        data, _ = next_messages([smallest] * (2 * MAX_TOGETHER), (0, 0))
        self.assertLessEqual(len(data) // len(smallest), MAX_TOGETHER)
        self.assertGreater(len(data) // len(smallest), 100)


class WithPeer(unittest.TestCase):
    """An outbox whose other end a thread reads."""

    def setUp(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.outbox = Outbox(theirs)
        self.messages: list[KernelMessage] = []
        self.arrived = threading.Condition()
        reader = threading.Thread(target=self.read, args=(ours,))
        reader.start()
        self.addCleanup(ours.close)
        self.addCleanup(reader.join)
        self.addCleanup(theirs.close)

    def read(self, link: socket.socket) -> None:
        """Take messages until the socket is closed."""
        assembler = Assembler(10**9)
        while packet := link.recv(PACKET_HEAD.size + MAX_PACKET_BYTES):
            for assembled in assembler.take(packet):
                for parts, _ in split_messages(assembled):
                    self.messages.append(read_message(parts, 0)[1])
                with self.arrived:
                    self.arrived.notify_all()

    def text(self) -> str:
        """All text that has arrived."""
        return "".join(str(message.content.get("text", "")) for message in self.messages)

    def await_text(self, length: int) -> str:
        """The text, once it has this length."""
        with self.arrived:
            self.arrived.wait_for(lambda: len(self.text()) >= length, SOON_SECONDS)
        return self.text()

    def rest(self) -> str:
        """All text, once the last of it has arrived."""
        self.outbox.add_text("stdout", END.parent_msg_id, str(END.content["text"]))
        self.outbox.flush()
        with self.arrived:
            is_there = self.arrived.wait_for(lambda: self.messages[-1:] == [END], SOON_SECONDS)
        self.assertTrue(is_there)
        return self.text().removesuffix("end")

    def test_text_without_a_newline_is_sent_after_a_pause(self) -> None:
        self.outbox.start()
        before = time.monotonic()
        self.outbox.add_text("stdout", "1", "no line")
        self.assertEqual(self.await_text(7), "no line")
        self.assertGreaterEqual(time.monotonic() - before, FLUSH_SECONDS)

    def test_lines_are_sent_at_once_and_a_flood_of_lines_is_joined(self) -> None:
        self.outbox.start()
        lines = [f"{number:04}\n" for number in range(10_000)]
        for line in lines:
            self.outbox.add_text("stdout", "1", line)
        self.outbox.flush()
        self.await_text(50_000)
        texts = [message.content["text"] for message in self.messages]
        self.assertEqual(texts[:LINES_AT_ONCE], lines[:LINES_AT_ONCE])
        self.assertLess(len(texts), 5_000)
        self.assertEqual("".join(map(str, texts)), "".join(lines))

    def test_a_message_that_can_wait_is_sent_even_if_nothing_follows(self) -> None:
        self.outbox.start()
        self.outbox.add_message(pack_message(b"iopub", "error", "1", b"{}"), can_wait=True)
        self.outbox.flush_text()
        with self.arrived:
            self.assertTrue(self.arrived.wait_for(lambda: self.messages, SOON_SECONDS))

    def test_a_message_comes_after_the_text_before_it(self) -> None:
        self.outbox.start()
        self.outbox.add_text("stdout", "1", "before")
        self.outbox.add_message(pack_message(b"iopub", "display_data", "1", b"{}"))
        self.await_text(6)
        self.rest()
        self.assertEqual([m.msg_type for m in self.messages], ["stream", "display_data", "stream"])

    def test_everything_arrives_once_though_every_step_is_interrupted(self) -> None:
        self.outbox.start()
        returned: list[int] = []
        attempt = interrupts = 0
        is_armed = False

        def interrupt(_number: int, _frame: object) -> None:
            nonlocal is_armed, interrupts
            if is_armed:
                is_armed = False
                interrupts += 1
                raise Interrupted

        with every(INTERRUPT_EVERY_SECONDS, interrupt):
            while attempt < ATTEMPTS:
                attempt += 1
                try:
                    is_armed = True
                    self.outbox.add_text("stdout", "1", f"{attempt}\n")
                    if attempt % 50 == 0:
                        self.outbox.flush()
                    is_armed = False
                    returned.append(attempt)
                except Interrupted:
                    continue
        self.assertGreater(interrupts, 50)
        arrived = [int(line) for line in self.rest().split()]
        # The line of an interrupted call may or may not have been added.
        self.assertEqual(len(set(arrived)), len(arrived))
        self.assertEqual(sorted(set(returned) - set(arrived))[:10], [])

    def test_a_signal_handler_may_print_while_its_thread_prints(self) -> None:
        self.outbox.start()
        with every(INTERRUPT_EVERY_SECONDS, lambda *_: self.outbox.add_text("stderr", "1", "!\n")):
            for _ in range(ATTEMPTS):
                self.outbox.add_text("stdout", "1", "x\n")
        text = self.rest()
        self.assertEqual(text.count("x\n"), ATTEMPTS)
        self.assertGreater(text.count("!\n"), 10)

    def test_a_forked_child_sends_its_own_text_but_not_that_of_its_parent(self) -> None:
        self.outbox.start()
        self.outbox.add_text("stdout", "1", "parent,")
        child = os.fork()
        if child == 0:
            self.outbox.add_text("stdout", "1", "chi")
            self.outbox.add_text("stdout", "1", "ld\n")
            os._exit(0)
        os.waitpid(child, 0)
        self.outbox.flush()
        self.assertIn(self.await_text(13), ("parent,child\n", "child\nparent,"))

    def test_text_that_was_flushed_arrives_though_the_process_is_killed_at_once(self) -> None:
        child = os.fork()
        if child == 0:
            self.outbox.start()
            self.outbox.add_text("stdout", "1", "last words")
            self.outbox.flush()
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(child, 0)
        self.assertEqual(self.await_text(10), "last words")


if __name__ == "__main__":
    unittest.main()
