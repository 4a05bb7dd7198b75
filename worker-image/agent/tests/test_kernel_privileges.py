"""The rights of a process after it has given up every privilege. The tests run as root, in a container of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unittest

from cellhouse_kernel.privileges import (
    KERNEL_UID,
    PrivilegesLeft,
    capability_sets,
    verify_no_privileges,
)

SHOW = f"""
import json, os
from cellhouse_kernel.privileges import give_up_privileges
give_up_privileges({KERNEL_UID})
lines = [line.partition(":") for line in open("/proc/self/status").read().splitlines()]
print(json.dumps({{name: value.strip() for name, _, value in lines}}))
"""
REGAIN = f"""
import os
from cellhouse_kernel.privileges import give_up_privileges
give_up_privileges({KERNEL_UID})
os.setuid(0)
"""


class GiveUpPrivileges(unittest.TestCase):
    """give_up_privileges and verify_no_privileges."""

    def test_leaves_nothing_in_any_set(self) -> None:
        self.assertEqual(os.getuid(), 0)
        shown = subprocess.run([sys.executable, "-c", SHOW], check=True, capture_output=True)
        status = json.loads(shown.stdout)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            with self.subTest(name):
                self.assertEqual(int(status[name], 16), 0)
        for name in ("Uid", "Gid"):
            self.assertEqual(status[name].split(), [str(KERNEL_UID)] * 4)
        self.assertEqual((status["Groups"], status["NoNewPrivs"]), ("", "1"))

    def test_cannot_be_undone(self) -> None:
        tried = subprocess.run([sys.executable, "-c", REGAIN], capture_output=True, text=True)
        self.assertIn("PermissionError", tried.stderr)

    def test_names_the_privileges_that_are_left(self) -> None:
        self.assertGreater(capability_sets().bounding, 0)
        with self.assertRaisesRegex(
            PrivilegesLeft, "effective, permitted, bounding, user or group"
        ):
            verify_no_privileges(KERNEL_UID)


if __name__ == "__main__":
    unittest.main()
