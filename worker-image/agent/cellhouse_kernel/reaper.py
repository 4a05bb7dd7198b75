"""`python3 -I -S reaper.py <process id>`: the reaper. It is the parent of one process, and of all orphans below that.

Linux gives a process whose parent has ended to the nearest child subreaper above it. So whatever the process starts
stays below the reaper, however it forks. User code can neither signal nor trace the reaper: it has the agent's user. It
has no capability either, and kills nobody: the agent does that. It tells the agent over its standard input, a
SOCK_SEQPACKET socket from which it never reads. Each packet is one JSON object:

    {"exited": {"code": -9}}   the process has ended; another process may get its id
    {"empty": {}}              nothing is left below the reaper, which ends

below_reaper.py describes the packets that come before these. It imports almost nothing, because there is one reaper for
each kernel.
"""

import os
import sys

CONTROL = 0
# <linux/wait.h>: also wait for children that do not end with SIGCHLD.
WAIT_FOR_ALL = 0x40000000


def reap(pid: int) -> None:
    """Reap all children until there are none, and tell of it; `pid` is the one whose end is told."""
    is_told = False
    while True:
        try:
            ended, status = os.waitpid(-1, WAIT_FOR_ALL)
        except ChildProcessError:
            break
        if ended == pid and not is_told:
            # Another process may get the same id, and its end says nothing.
            is_told = True
            say(f'{{"exited": {{"code": {os.waitstatus_to_exitcode(status)}}}}}')
    say('{"empty": {}}')


def say(packet: str) -> None:
    """Tell the agent. If the agent is gone, there is nobody to tell."""
    try:
        os.write(CONTROL, packet.encode())
    except OSError:
        return


if __name__ == "__main__":
    reap(int(sys.argv[1]))
