"""A kernel provisioner, with which any program that uses jupyter_client starts kernels as the worker does.

It is a thin layer over launcher.py. The agent uses launcher.py directly: importing jupyter_client would cost it 6 MB
and 30 ms. The kernelspec `cellhouse` names this provisioner. The program must be root, or the agent's user with the
agent's capabilities; the kernel has the worker's user, folder and environment.
"""

from __future__ import annotations

import signal
from typing import Any

from jupyter_client.connect import KernelConnectionInfo
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from cellhouse_agent.kernel_process import KernelProcess
from cellhouse_agent.launcher import KernelLauncher
from cellhouse_agent.wire import JsonObject

# What `poll` returns if nobody could learn the exit code of a kernel (reaper.py): it must be a number.
UNKNOWN_EXIT_CODE = 255


class ForkServerProvisioner(LocalProvisioner):  # type: ignore[misc]
    """One kernel at a time, forked by its own fork server, also at a restart. The base class makes ports and file."""

    process: KernelProcess | None = None  # type: ignore[assignment]
    _launcher: KernelLauncher | None = None

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Start the fork server while the base class finds ports."""
        if self._launcher is None:
            self._launcher = KernelLauncher(cpus=1)
            self._launcher.start()
        return dict(await super().pre_launch(**kwargs))

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start a kernel. Raises OSError when no process can be made."""
        if self._launcher is None:
            raise RuntimeError("launch_kernel comes after pre_launch")
        self.process = await self._launcher.launch(_as_json(self.connection_info))
        self.process.link.close()
        self.pid = self.pgid = self.process.pid
        return self.connection_info

    async def poll(self) -> int | None:
        """None while it runs, else its exit code."""
        if self.process is None:
            return 0
        if not self.process.has_exited:
            return None
        code = self.process.exit_code
        return UNKNOWN_EXIT_CODE if code is None else code

    async def wait(self) -> int | None:
        """Wait for its end."""
        if self.process:
            await self.process.wait()
        code = await self.poll()
        if self.process:
            self.process.close()
        self.process = None
        return code

    async def send_signal(self, signum: int) -> None:
        """Send a signal to the kernel and the children in its process group."""
        if self.process:
            self.process.signal_group(signum)
            if signum == signal.SIGKILL:
                # The kernel may not have its own process group yet.
                self.process.kill()

    async def cleanup(self, restart: bool = False) -> None:
        """End the fork server too, unless this is a restart."""
        await super().cleanup(restart)
        if self._launcher and not restart:
            await self._launcher.close()
            self._launcher = None


def _as_json(connection: KernelConnectionInfo) -> JsonObject:
    return {
        name: value.decode("ascii") if isinstance(value, bytes) else value
        for name, value in connection.items()
    }
