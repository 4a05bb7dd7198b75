"""The functions that make the kernels of contexts, and the commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cellhouse_agent.commands.command import Command, NotBegun
from cellhouse_agent.commands.run import OrderCommand
from cellhouse_agent.commands.script import Script, Standard
from cellhouse_agent.contexts import MakeKernel, TooManyContexts
from cellhouse_agent.kernel import Kernel
from cellhouse_agent.wire import KernelMessage


def no_kernel(_on_message: Callable[[str, KernelMessage], None], _directory: str | None) -> Kernel:
    """Makes no kernel: this worker has no contexts beside the default one."""
    raise TooManyContexts


async def no_command(_script: Script, _standard: Standard) -> Command:
    """Makes no command: this worker runs none."""
    raise NotBegun("This worker runs no commands")


class Makers(NamedTuple):
    """How one worker makes the kernels of its contexts, and its commands."""

    kernel: MakeKernel = no_kernel
    command: OrderCommand = no_command
