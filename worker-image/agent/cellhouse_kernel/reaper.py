"""`python3 -I -S reaper.py <process id>`: the reaper. It is the parent of one process, and of all orphans below that.

Linux gives a process whose parent has ended to the nearest child subreaper above it. So whatever the process starts
stays below the reaper, however it forks. User code can neither signal nor trace the reaper: it has the agent's user. It
has no capability either, and kills nobody: the agent does that. It tells the agent over its standard input, a
SOCK_SEQPACKET socket from which it never reads. Each packet is one JSON object:

    {"exited": {"code": -9}}   the process has ended; another process may get its id
    {"empty": {}}              nothing is left below the reaper, which ends

If nothing is left when the process has ended, one packet says both. If it is to measure, `empty` has what all that it
has reaped have used: {"cpu_ms": 1.5, "max_rss_bytes": 4096}, the latter of the largest process.

below_reaper.py describes the packets that come before these. It imports almost nothing, because there is one reaper for
each kernel.
"""

import os
import sys

CONTROL = 0
# <linux/wait.h>: also wait for children that do not end with SIGCHLD.
WAIT_FOR_ALL = 0x40000000


class Used:
    """What the processes that were reaped have used, including what they have reaped themselves."""

    def __init__(self, is_measured: bool) -> None:
        self._is_measured = is_measured
        self._cpu_seconds = 0.0
        self._max_rss_kib = 0

    def wait(self, flags: int) -> tuple[int, int]:
        """Reap one child; returns its id and status. Raises ChildProcessError when there is none."""
        if not self._is_measured:
            return os.waitpid(-1, WAIT_FOR_ALL | flags)
        pid, status, usage = os.wait4(-1, WAIT_FOR_ALL | flags)
        if pid:
            self._cpu_seconds += usage.ru_utime + usage.ru_stime
            self._max_rss_kib = max(self._max_rss_kib, usage.ru_maxrss)
        return pid, status

    def told(self) -> str:
        """As the fields of `empty`."""
        if not self._is_measured:
            return ""
        return (
            f'"cpu_ms": {1000 * self._cpu_seconds:.3f}, "max_rss_bytes": {1024 * self._max_rss_kib}'
        )


def reap(pid: int, is_measured: bool = False) -> None:
    """Reap all children until there are none, and tell of it; `pid` is the one whose end is told."""
    used = Used(is_measured)
    exited = ""
    is_told = False
    while True:
        try:
            # Once more before the end is told: most leave nothing behind.
            ended, status = used.wait(os.WNOHANG if exited else 0)
        except ChildProcessError:
            break
        if exited:
            say(f"{{{exited}}}")
            exited = ""
        if ended == pid and not is_told:
            # Another process may get the same id, and its end says nothing.
            is_told = True
            exited = f'"exited": {{"code": {os.waitstatus_to_exitcode(status)}}}'
    say(f'{{{exited}{exited and ", "}"empty": {{{used.told()}}}}}')


def say(packet: str) -> None:
    """Tell the agent. If the agent is gone, there is nobody to tell."""
    try:
        os.write(CONTROL, packet.encode())
    except OSError:
        return


if __name__ == "__main__":
    reap(int(sys.argv[1]))
