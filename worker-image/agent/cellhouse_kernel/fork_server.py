"""`python3 -I -m cellhouse_kernel.fork_server`: a process that has imported everything and forks kernels on demand.

It is executed with a kernel's environment, so that it contains nothing of the agent's environment. It changes to the
agent's user, with the same capabilities as the agent. It talks to the agent over its standard input, a SOCK_SEQPACKET
socket. Each packet is one JSON object:

    from the agent:        {"fork": {}} with two descriptors   one for the kernel's standard input, one for its output
    from the fork server:  {"ready": {}}                       everything is imported
                           {"forked": {"pid": 12}}             the kernel exists
                           {"failed": {"errno": 11}}           the kernel could not be made
                           {"exited": {"pid": 12, "code": -9}} the kernel has ended; another process may get its id

The kernel waits for a first packet on its link, and ends if the link closes without one. So if this process dies in the
middle of a fork, the agent only has to close its end.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import socket

from cellhouse_agent.privileges import AGENT_UID, become_user
from cellhouse_kernel.forked import Descriptors, run_forked
from cellhouse_kernel.preload import preload

MAX_PACKET_BYTES = 4_096
DESCRIPTORS = 2


class ForkServer:
    """Serves one agent. `serve` returns only in a forked child, which then becomes a kernel."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: set[int] = set()
        self._wake_read, self._wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        # Python wakes only for signals that have a handler.
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def serve(self) -> Descriptors:
        """Fork a kernel for each request; end the process when the agent is gone."""
        self._say("ready")
        poll = select.poll()
        for fd in (self._control.fileno(), self._wake_read):
            poll.register(fd, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if self._wake_read in ready:
                self._report_exits()
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
        try:
            if len(descriptors) != DESCRIPTORS:
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            pid = os.fork()
        except OSError as error:
            self._say("failed", errno=error.errno)
            pid = -1
        if pid == 0:
            # Otherwise the socket object would later close whatever has its number by then.
            self._control.detach()
            return Descriptors(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        if pid > 0:
            self._children.add(pid)
            self._say("forked", pid=pid)
        return None

    def _report_exits(self) -> None:
        """Reap the children that have ended, and report them."""
        while True:
            try:
                os.read(self._wake_read, MAX_PACKET_BYTES)
            except BlockingIOError:
                break
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            self._children.discard(pid)
            self._say("exited", pid=pid, code=os.waitstatus_to_exitcode(status))

    def _say(self, what: str, **fields: int | None) -> None:
        try:
            self._control.send(json.dumps({what: fields}).encode())
        except OSError:
            self._end()

    def _end(self) -> None:
        """The agent is gone: kill the kernels, and end."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        raise SystemExit(0)


def main() -> None:
    """Import everything, then serve. In a forked child: run a kernel."""
    become_user(AGENT_UID)
    # SIGINT interrupts kernels only.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    preload()
    run_forked(ForkServer(socket.socket(fileno=0)).serve())


if __name__ == "__main__":
    main()
