"""What all lanes and commands of a worker share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from cellhouse_agent.frames import FrameWriter
from cellhouse_agent.home_watch import HomeWatch
from cellhouse_agent.inputs import Inputs
from cellhouse_agent.trees import Trees


@dataclass(frozen=True)
class LaneParts:
    """What all lanes and commands of a worker share."""

    writer: FrameWriter
    trees: Trees
    # Without it, replies say nothing of changed files.
    home: HomeWatch | None
    # Called with the msg_id of a request, directly after its last frame.
    ended: Callable[[str], None]
    # The processes of the kernels that run no code.
    quiet_kernels: Callable[[], frozenset[int | None]]
    inputs: Inputs
