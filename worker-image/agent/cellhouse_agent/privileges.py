"""Gives up root for the agent's own user, but for the four capabilities that a kernel under another user needs.

The container starts as root with these four, and so does this process. It changes its user without an exec: gVisor
knows neither ambient capabilities nor those of files, so they would not survive one. The process is then not dumpable:
even another one of its own user could neither trace it nor read its memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cellhouse_kernel.capabilities import (
    PR_SET_KEEPCAPS,
    PR_SET_NO_NEW_PRIVS,
    prctl,
    set_capabilities,
)

AGENT_UID = 64001
CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP = 5, 6, 7, 8
# Starting a kernel under another user, with nothing left in its bounding set, and signalling it.
KEPT_CAPABILITIES = (CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP)

# Inside gVisor this is the sandbox's own control group, which root may write to; under runc nobody may.
PIDS_MAX = Path("/sys/fs/cgroup/pids/pids.max")


def become_agent(environment: Mapping[str, str]) -> None:
    """Call it first, as root; raises OSError when any of it is refused."""
    limit_processes(environment)
    become_user(AGENT_UID)


def limit_processes(environment: Mapping[str, str], pids_max: Path = PIDS_MAX) -> None:
    """Under gVisor the host's limit ends the sandbox instead of refusing a fork, so the sandbox has one of its own."""
    pids = environment.get("CELLHOUSE_PIDS")
    if pids:
        pids_max.write_text(pids, encoding="ascii")


def become_user(uid: int) -> None:
    """Change to this user and its group of the same number, with KEPT_CAPABILITIES; nothing else can be had again."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    set_capabilities(KEPT_CAPABILITIES)
