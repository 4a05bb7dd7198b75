"""One kernel process, under the kernel's user, with nothing of the agent's.

The connection (endpoints and key) goes in through standard input. The endpoints are Unix sockets in the abstract
namespace of the container's own network: quicker than TCP, and no file that user code could fill up, delete or leave
behind for the next kernel.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from dataclasses import dataclass

from cellhouse_agent.user_processes import KERNEL_UID
from cellhouse_agent.wire import JsonObject

# Under memory pressure the kernel goes first, never the agent.
KERNEL_OOM_SCORE = 1000
# However many processes user code runs, the agent gets the CPU first when it must act. It counts only inside the
# container.
KERNEL_NICENESS = 10
# How much of the kernel's own stderr is kept to explain a start that failed.
STDERR_TAIL_BYTES = 2_000
PIPE_READ_BYTES = 65_536

COMMAND = [
    "/usr/bin/choom",
    f"--adjust={KERNEL_OOM_SCORE}",
    "--",
    "/usr/bin/nice",
    f"--adjustment={KERNEL_NICENESS}",
    "/usr/bin/setpriv",
    f"--reuid={KERNEL_UID}",
    f"--regid={KERNEL_UID}",
    "--clear-groups",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--bounding-set=-all",
    "--no-new-privs",
    "--",
    # Isolated: no file in /workspace can stand in for a module that the kernel needs to start.
    "/usr/bin/python3",
    "-I",
    "-m",
    "cellhouse_kernel",
]


@dataclass(frozen=True)
class Connection:
    """Where one kernel listens, and the key that its messages are signed with."""

    name: str
    key: str

    def endpoint(self, port: int) -> str:
        """The ZeroMQ address of a port, as Jupyter makes it for the transport "ipc"."""
        return f"ipc://{self.name}-{port}"

    def to_jupyter(self) -> JsonObject:
        """Jupyter's connection object."""
        return {
            "transport": "ipc",
            "ip": self.name,
            "key": self.key,
            "signature_scheme": "hmac-sha256",
            "shell_port": SHELL_PORT,
            "iopub_port": IOPUB_PORT,
            "stdin_port": 3,
            "control_port": 4,
            "hb_port": 5,
        }


SHELL_PORT = 1
IOPUB_PORT = 2


def new_connection() -> Connection:
    """A connection that nobody can guess, and that no earlier kernel had."""
    return Connection(name=f"@kernel-{secrets.token_hex(8)}", key=secrets.token_hex(32))


def kernel_environment(cpus: int) -> dict[str, str]:
    """All that the kernel sees as its environment."""
    threads = str(cpus)
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/workspace",
        "USER": "user",
        "LOGNAME": "user",
        "SHELL": "/bin/bash",
        "LANG": "C.UTF-8",
        "TMPDIR": "/tmp",
        "XDG_CACHE_HOME": "/tmp/.cache",
        "XDG_CONFIG_HOME": "/tmp/.config",
        "XDG_DATA_HOME": "/tmp/.local/share",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "NUMEXPR_NUM_THREADS": threads,
        "NUMEXPR_MAX_THREADS": threads,
    }


class KernelProcess:
    """A started kernel. `wait` returns its exit code (negative: the signal that ended it)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._tail = b""
        self._drain = asyncio.create_task(self._drain_output())

    @property
    def pid(self) -> int:
        """The process id, which is also that of its session and process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.returncode

    @property
    def stderr_tail(self) -> str:
        """The end of what it wrote to the real stdout and stderr."""
        return self._tail.decode(errors="replace")

    async def wait(self) -> int:
        """Wait for its end."""
        return await self._process.wait()

    def interrupt(self) -> None:
        """SIGINT to the kernel and the children in its process group, as Jupyter does."""
        if self.exit_code is None:
            try:
                os.killpg(self.pid, signal.SIGINT)
            except (ProcessLookupError, PermissionError):
                # It has just ended (then its wait tells), or has not yet become the kernel's user.
                return

    def kill(self) -> None:
        """SIGKILL to the process itself; what it started is the business of kill_user_processes."""
        if self.exit_code is None:
            self._process.kill()

    async def close(self) -> None:
        """Stop reading its output. Call it after its end."""
        self._drain.cancel()
        await asyncio.wait([self._drain])

    async def _drain_output(self) -> None:
        """Read and forget: fds 1 and 2 are not the container's, or its log would grow with what code writes there."""
        stream = self._process.stdout
        if stream is None:
            return
        while data := await stream.read(PIPE_READ_BYTES):
            self._tail = (self._tail + data)[-STDERR_TAIL_BYTES:]


async def start_kernel_process(connection: Connection, cpus: int) -> KernelProcess:
    """Start a kernel; it is ready only when it answers. Raises OSError when no process can be made."""
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        # An exec keeps capabilities only as root, and setpriv needs them to become the kernel's user.
        user=0,
        group=0,
        extra_groups=[],
        # The kernel goes to /workspace itself: the agent may not even enter it.
        cwd="/",
        env=kernel_environment(cpus),
        start_new_session=True,
    )
    if process.stdin is not None:
        process.stdin.write(json.dumps(connection.to_jupyter()).encode())
        process.stdin.close()
    return KernelProcess(process)
