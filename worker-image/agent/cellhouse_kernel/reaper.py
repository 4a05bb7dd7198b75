"""`python3 -I -S reaper.py <process id>`: the reaper. It is the parent of one process, and of all orphans below that.

Linux gives a process whose parent has ended to the nearest child subreaper above it. So whatever the process starts
stays below the reaper, however it forks. The reaper runs as the agent's user, so user code can neither signal nor trace
it. The reaper has no capability, and kills nobody: the agent does that. It reports to the agent over its standard
input, a SOCK_SEQPACKET socket from which it never reads. Each packet is one JSON object:

    {"exited": {"code": -9, ...}}   the process has ended; another process may get its id
    {"empty": {...}}                nothing is left below the reaper, which ends

If nothing is left when the process has ended, one packet has both fields. Each field also has "cpu_ms", the CPU time of
all that has ended below the reaper, and "max_rss_bytes", the most memory that a process had. In `exited`, only the
process and the children that it has waited for count; in `empty`, all processes.

forking.py describes the packets that come before these. This module imports almost nothing, because there is one
reaper for each kernel.
"""

import os
import sys

CONTROL = 0
# <linux/wait.h>: also wait for children that do not end with SIGCHLD.
WAIT_FOR_ALL = 0x40000000


def reap(pid: int) -> None:
    """Reap children until there are none, and tell the agent; `pid` is the child whose end is reported."""
    exited = ""
    is_told = False
    cpu_seconds, largest_kib = 0.0, 0
    while True:
        try:
            # Look once more before reporting the end: most processes leave nothing behind, so one packet suffices.
            ended, status, used = os.wait4(-1, WAIT_FOR_ALL | (os.WNOHANG if exited else 0))
        except ChildProcessError:
            break
        if exited:
            say(f"{{{exited}}}")
            exited = ""
        cpu_seconds += used.ru_utime + used.ru_stime
        largest_kib = max(largest_kib, used.ru_maxrss)
        if ended == pid and not is_told:
            # A later process may get the same id. Its end is not reported.
            is_told = True
            code = f'"code": {os.waitstatus_to_exitcode(status)}'
            exited = f'"exited": {{{code}, {_told(cpu_seconds, used.ru_maxrss)}}}'
    say(f'{{{exited}{exited and ", "}"empty": {{{_told(cpu_seconds, largest_kib)}}}}}')


def _told(cpu_seconds: float, max_rss_kib: int) -> str:
    """These numbers, as fields of a packet."""
    return f'"cpu_ms": {1000 * cpu_seconds:.3f}, "max_rss_bytes": {1024 * max_rss_kib}'


def say(packet: str) -> None:
    """Tell the agent. If the agent is gone, there is nobody to tell."""
    try:
        os.write(CONTROL, packet.encode())
    except OSError:
        return


if __name__ == "__main__":
    reap(int(sys.argv[1]))
