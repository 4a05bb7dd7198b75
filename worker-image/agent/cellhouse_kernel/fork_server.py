"""`python3 -I -m cellhouse_kernel.fork_server [first]` imports everything, and then forks kernels on demand.

It is executed with a kernel's environment, so that it contains nothing of the agent's environment. It changes to the
agent's user, with the same capabilities as the agent. It talks to the agent over its standard input, a SOCK_SEQPACKET
socket. Each packet is one JSON object:

    from the agent:        {"fork": {}} with three descriptors  for the kernel's standard input, for its output, and
                                                                for its reaper's socket to the agent
    from the fork server:  {"ready": {"not_preloaded": ""}}     everything is imported, except what this line names
                           {"forked": {"reaper": 12}}           the kernel's reaper exists, and reports the rest
                           {"failed": {"errno": 11}}            the reaper could not be made

Each kernel has a reaper of its own (forking.py), which outlives this process. The kernel waits for a first packet
on its link, and ends if the link closes without one. So if this process dies in the middle of a fork, the agent only
has to close its end of the link.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket
import sys

from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_agent.processes.table import start_of
from cellhouse_agent.processes.tree import kill_tree
from cellhouse_kernel.forking import fork_with_reaper
from cellhouse_kernel.kernel_process import Descriptors, run_forked
from cellhouse_kernel.packages import FIRST_FORK_SERVER, find_packages
from cellhouse_kernel.preload import further_modules, preload

MAX_PACKET_BYTES = 4_096
# JSON may turn one character into six, and the packet has a limit.
MAX_NOT_PRELOADED_CHARACTERS = 500
DESCRIPTORS = 3


class ForkServer:
    """Serves one agent. `serve` returns only in a forked child, which then becomes a kernel."""

    def __init__(self, control: socket.socket, not_preloaded: str) -> None:
        self._control = control
        self._not_preloaded = not_preloaded[:MAX_NOT_PRELOADED_CHARACTERS]
        # The living reapers, and when each started.
        self._reapers: dict[int, int] = {}
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Python wakes only for signals that have a handler.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def serve(self) -> Descriptors:
        """Fork a kernel for each request; end the process when the agent is gone."""
        self._say("ready", not_preloaded=self._not_preloaded)
        poll = select.poll()
        for fd in (self._control.fileno(), self._wake_read):
            poll.register(fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake_read in ready:
                self._forget_ended()
            if self._control.fileno() in ready:
                start = self._handle_request()
                if start:
                    return start

    def _handle_request(self) -> Descriptors | None:
        """Fork; returns the descriptors in the child, None here."""
        try:
            packet, descriptors, *_ = socket.recv_fds(self._control, MAX_PACKET_BYTES, DESCRIPTORS)
        except ConnectionResetError:
            packet = b""
        if not packet:
            self._end()
        # An ended process counts against the limit of processes until it is reaped.
        self._forget_ended()
        try:
            if len(descriptors) != DESCRIPTORS:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = os.fork()
        except OSError as error:
            self._say("failed", errno=error.errno)
            pid = -1
        if pid == 0:
            # Otherwise the socket object would close its descriptor number later, when another file has that number.
            self._control.detach()
            *given, reaper_control = descriptors
            fork_with_reaper(reaper_control)
            return Descriptors(*given)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._reapers[pid] = start_of(pid) or 0
            self._say("forked", reaper=pid)
        return None

    def _forget_ended(self) -> None:
        """Reap the reapers that have ended. The agent learns of their ends from their own sockets."""
        while True:
            try:
                os.read(self._wake_read, MAX_PACKET_BYTES)
            except BlockingIOError:
                break
        while self._reapers:
            pid, _status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._reapers.pop(pid, None)

    def _say(self, what: str, **fields: int | str | None) -> None:
        try:
            self._control.send(json.dumps({what: fields}).encode())
        except OSError:
            self._end()

    def _end(self) -> None:
        """The agent is gone: kill the kernels and all that they started, and end."""
        for pid, start in self._reapers.items():
            kill_tree(pid, start)
        raise SystemExit(0)


def main() -> None:
    """Import everything, then serve. In a forked child: run a kernel."""
    become_user(AGENT_UID)
    # SIGINT interrupts kernels only.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    find_packages()
    problems = preload(further_modules() if sys.argv[1:] == [FIRST_FORK_SERVER] else [])
    run_forked(ForkServer(socket.socket(fileno=0), "; ".join(problems)).serve())


if __name__ == "__main__":
    main()
