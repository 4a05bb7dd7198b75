"""ipykernel's application, started from a connection in memory."""

from __future__ import annotations

from typing import Any

import zmq
from ipykernel.kernelapp import IPKernelApp
from traitlets import default
from traitlets.config import Config

from cellhouse_kernel.kernel import Kernel

IMAGE_IPYTHON_DIR = "/usr/share/cellhouse/ipython"


class KernelApp(IPKernelApp):
    """Serves one kernel on the endpoints that `use_connection` gave it."""

    kernel_class = Kernel  # type: ignore[assignment]
    outstream_class = "cellhouse_kernel.streams.OrderedOutStream"  # type: ignore[assignment]

    @default("ipython_dir")
    def _default_ipython_dir(self) -> str:
        # A prebuilt, read-only profile: nothing to create at start, and nothing that code can leave there to run in the
        # next kernel.
        return IMAGE_IPYTHON_DIR

    def use_connection(self, connection: dict[str, Any]) -> None:
        """Take transport, address, ports and key from a Jupyter connection object."""
        self.transport = connection["transport"]
        self.ip = connection["ip"]
        for name in ("shell_port", "iopub_port", "stdin_port", "control_port", "hb_port"):
            setattr(self, name, connection[name])
        settings = Config()
        settings.Session.key = connection["key"].encode("ascii")
        settings.Session.packer = "cellhouse_kernel.packing.pack"
        settings.Session.signature_scheme = connection["signature_scheme"]
        # Nobody asks for history over the wire, and SQLite would want a writable home.
        settings.HistoryManager.enabled = False
        settings.HistoryManager.hist_file = ":memory:"
        self.update_config(settings)

    def init_connection_file(self) -> None:
        """There is none: see `use_connection`."""

    def write_connection_file(self, **_kwargs: Any) -> None:
        """There is none: see `use_connection`."""

    def init_heartbeat(self) -> None:
        """The agent is the parent process and sees the kernel end; a heartbeat thread would tell it less."""

    def init_iopub(self, context: zmq.Context[Any]) -> None:
        """Bind the output socket with no send mark: at a mark, a PUB socket drops messages without a word."""
        context.setsockopt(zmq.SNDHWM, 0)
        super().init_iopub(context)
