"""Output on descriptors is read in order, and goes to the right request or to none."""

import os
import resource
import subprocess
import threading
import time
import unittest
from typing import Any

from cellhouse_kernel.raw_output import RawOutput

FIRST = {"msg_id": "first"}
SECOND = {"msg_id": "second"}
PATIENCE_SECONDS = 20.0
HELD_SECONDS = 0.1


class RawOutputTest(unittest.TestCase):
    """RawOutput on a descriptor of the test's own."""

    def setUp(self) -> None:
        self.descriptor = os.open(os.devnull, os.O_WRONLY)
        self.taken: list[tuple[str, str]] = []
        self.grown = threading.Event()
        # The lock that the outbox holds while text is added.
        self.lock = threading.RLock()
        self.may_take = threading.Event()
        self.may_take.set()
        self.is_taking = threading.Event()
        self.raw = RawOutput()
        self.raw.start({self.descriptor: self.take}, self.lock)

    def tearDown(self) -> None:
        os.close(self.descriptor)

    def take(self, parent: dict[str, Any], text: str) -> None:
        """Take text as the kernel's streams do."""
        self.is_taking.set()
        self.may_take.wait(PATIENCE_SECONDS)
        with self.lock:
            self.taken.append((parent["msg_id"], text))
        self.grown.set()

    def text(self, name: str) -> str:
        """All that was taken for a request."""
        return "".join(text for owner, text in self.taken if owner == name)

    def test_take_hands_on_text_that_was_written_before(self) -> None:
        self.raw.begin(FIRST)
        os.write(self.descriptor, b"a")
        self.raw.take()
        self.assertEqual(self.text("first"), "a")

    def test_hands_on_text_without_a_call_of_take(self) -> None:
        self.raw.begin(FIRST)
        os.write(self.descriptor, b"a")
        self.assertTrue(self.grown.wait(PATIENCE_SECONDS))
        self.assertEqual(self.taken, [("first", "a")])

    def test_take_waits_for_text_that_another_thread_has_read(self) -> None:
        self.raw.begin(FIRST)
        self.may_take.clear()
        os.write(self.descriptor, b"a")
        self.assertTrue(self.is_taking.wait(PATIENCE_SECONDS))
        threading.Timer(HELD_SECONDS, self.may_take.set).start()
        self.raw.take()
        self.assertEqual(self.taken, [("first", "a")])

    def test_a_signal_handler_may_print_while_its_thread_sends(self) -> None:
        self.raw.begin(FIRST)
        for letter in (b"a", b"b"):
            # A signal handler runs in the very thread that holds the lock.
            with self.lock:
                os.write(self.descriptor, letter)
                # Long enough for the other thread to see that the pipe has bytes.
                time.sleep(HELD_SECONDS)
                os.write(self.descriptor, letter)
                self.raw.take()
        self.assertEqual(self.text("first"), "aabb")

    def test_joins_the_halves_of_a_character(self) -> None:
        self.raw.begin(FIRST)
        for half in (b"\xc3", b"\xa9\xff", b"\xc3"):
            os.write(self.descriptor, half)
            self.raw.take()
        self.raw.end()
        self.assertEqual(self.text("first"), "é\ufffd\ufffd")

    def test_gives_the_output_of_a_leftover_process_to_no_request(self) -> None:
        self.raw.begin(FIRST)
        command = ["sh", "-c", "read line; echo late"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.descriptor) as child:
            self.raw.end()
            self.raw.renew()
            self.raw.begin(SECOND)
            child.communicate(b"go\n")
        os.write(self.descriptor, b"mine")
        self.raw.end()
        self.assertEqual((self.text("first"), self.text("second")), ("", "mine"))
        self.assertEqual(child.returncode, 0)

    def test_gives_output_between_two_requests_to_no_request(self) -> None:
        self.raw.begin(FIRST)
        self.raw.end()
        self.raw.renew()
        os.write(self.descriptor, b"between")
        self.raw.begin(SECOND)
        self.raw.end()
        self.assertEqual(self.taken, [])

    def test_goes_on_when_user_code_has_all_descriptors_open(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.raw.begin(FIRST)
        # A started process may have the pipe open, so `renew` tries to make a new pipe.
        subprocess.run(["true"], check=True)
        self.raw.end()
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            self.raw.renew()
            self.raw.begin(SECOND)
            os.write(self.descriptor, b"mine")
            self.raw.end()
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        self.assertEqual(self.text("second"), "mine")
        before = os.fstat(self.descriptor).st_ino
        self.raw.renew()
        self.assertNotEqual(os.fstat(self.descriptor).st_ino, before)

    def test_does_not_spin_when_user_code_closes_the_descriptor(self) -> None:
        self.raw.begin(FIRST)
        os.dup2(os.open(os.devnull, os.O_WRONLY), self.descriptor)
        before = time.process_time()
        time.sleep(0.2)
        self.assertLess(time.process_time() - before, 0.1)
        self.raw.renew()
        self.raw.begin(SECOND)
        os.write(self.descriptor, b"again")
        self.raw.end()
        self.assertEqual(self.text("second"), "again")


if __name__ == "__main__":
    unittest.main()
