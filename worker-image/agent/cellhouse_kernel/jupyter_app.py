"""ipykernel's application, which is given its connection and need not read it from a file."""

from __future__ import annotations

from typing import Any

from ipykernel.kernelapp import IPKernelApp
from traitlets import Dict, default
from traitlets.config import Config

from cellhouse_kernel.app import IMAGE_IPYTHON_DIR


class JupyterApp(IPKernelApp):
    """A kernel for any Jupyter client (cellhouse_agent/provisioner.py), with ZeroMQ sockets and a heartbeat."""

    connection: Any = Dict()

    @default("ipython_dir")
    def _default_ipython_dir(self) -> str:
        return IMAGE_IPYTHON_DIR

    def init_connection_file(self) -> None:
        """The file is not read: it belongs to the manager, and only the manager's user can read it."""
        self.load_connection_info(self.connection)
        settings = Config()
        # The profile is the image's and cannot be written to.
        settings.HistoryManager.enabled = False
        settings.HistoryManager.hist_file = ":memory:"
        self.update_config(settings)

    def write_connection_file(self, **_kwargs: Any) -> None:
        """The manager has written it."""
