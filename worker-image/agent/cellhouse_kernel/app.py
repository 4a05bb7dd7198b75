"""ipykernel's application, with a link to the agent instead of ZeroMQ sockets."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import sys
from typing import Any

from ipykernel.kernelapp import IPKernelApp
from jupyter_client.session import Session
from traitlets import Instance, default
from traitlets.config import Config

from cellhouse_kernel.kernel import Kernel
from cellhouse_kernel.link import DESCRIPTORS, Channel, LinkSession, LinkThread, follow_starters
from cellhouse_kernel.outbox import Outbox
from cellhouse_kernel.raw_output import RAW_OUTPUT

IMAGE_IPYTHON_DIR = "/usr/share/cellhouse/ipython"


class KernelApp(IPKernelApp):
    """Serves one kernel on the link that `use_link` gave it."""

    kernel_class = Kernel  # type: ignore[assignment]
    outstream_class = "cellhouse_kernel.link.OrderedOutStream"  # type: ignore[assignment]
    link = Instance(socket.socket)

    @default("ipython_dir")
    def _default_ipython_dir(self) -> str:
        # A prebuilt, read-only profile. So a kernel need not create one at its start, and code cannot leave anything
        # there that would run in the next kernel.
        return IMAGE_IPYTHON_DIR

    @default("session")
    def _default_session(self) -> Session:
        return LinkSession(parent=self)

    def use_link(self, link: socket.socket) -> None:
        """Take the kernel's end of the link."""
        self.link = link
        settings = Config()
        # No database: SQLite would need a writable home. kernel.py answers requests for the history from memory.
        settings.HistoryManager.enabled = False
        settings.HistoryManager.hist_file = ":memory:"
        # raw_output.py captures this output instead.
        settings.KernelApp.capture_fd_output = False
        self.update_config(settings)

    def parse_command_line(self, argv: object = None) -> None:
        """There is no command line. Even so, traitlets would build a parser for every setting: 3 MB, 7 ms."""

    def init_connection_file(self) -> None:
        """No file is needed: the only client is connected already."""

    def write_connection_file(self, **_kwargs: object) -> None:
        """There is no file."""

    def log_connection_info(self) -> None:
        """There is nothing to connect to."""

    def init_heartbeat(self) -> None:
        """No heartbeat is needed: the agent learns of the end of the kernel's process."""

    def init_sockets(self) -> None:
        """The link takes the place of the sockets."""
        outbox = Outbox(self.link)
        self.shell_channel = Channel(outbox, b"shell")
        self.iopub_thread = LinkThread(outbox)
        self.iopub_thread.start()
        atexit.register(self.close)
        self.iopub_socket = self.iopub_thread.background_socket
        self.configure_tornado_logger()

    def init_io(self) -> None:
        """Take over the standard streams and their descriptors. The kernel's own log goes where stderr went."""
        log_stream = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
        for handler in self.log.handlers:
            if isinstance(handler, logging.StreamHandler):
                handler.setStream(log_stream)
        super().init_io()
        streams: Any = (sys.stdout, sys.stderr)
        follow_starters([stream._parent_header for stream in streams])
        takers = {DESCRIPTORS[stream.name]: stream.add for stream in streams}
        RAW_OUTPUT.start(takers, self.iopub_thread.outbox.lock)
        # A forked child sends its output to the agent itself. Text that was printed before the fork is sent first.
        os.register_at_fork(before=sys.stdout.flush)

    def init_kernel(self) -> None:
        """Make the kernel. Nothing in it uses ZeroMQ."""
        self.kernel = kernel = Kernel.instance(
            parent=self,
            session=self.session,
            link=self.link,
            shell_channel=self.shell_channel,
            iopub_thread=self.iopub_thread,
            iopub_socket=self.iopub_socket,
            log=self.log,
            profile_dir=self.profile_dir,
            user_ns=self.user_ns,
        )
        # Allow the displayhook to get the execution count, as ipykernel does.
        self.displayhook.get_execution_count = lambda: kernel.execution_count

    def start(self) -> None:
        """Serve until told to stop, even if user code stops the event loop or an interrupt hits it."""
        super().start()
        shell: Any = self.kernel.shell
        while not shell.exit_now:
            try:
                self.io_loop.start()
            except KeyboardInterrupt:
                continue

    def close(self) -> None:
        """Send what is left."""
        self.reset_io()
        self.iopub_thread.stop()
        self.iopub_thread.close()
