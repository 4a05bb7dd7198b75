"""Changes from root to the agent's own user, and keeps the four capabilities that starting a kernel takes.

The container starts as root with just these four capabilities, and so does this process. It changes its user without an
exec, because the capabilities would not survive an exec under gVisor, which has neither ambient nor file capabilities.
The process is then not dumpable: even another process of the same user can neither trace it nor read its memory.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from cellhouse_kernel.privileges import (
    PR_SET_KEEPCAPS,
    PR_SET_NO_NEW_PRIVS,
    prctl,
    set_capabilities,
)

AGENT_UID = 64001
CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP = 5, 6, 7, 8
# Needed to start a kernel as another user, with an empty bounding set, and to signal it.
KEPT_CAPABILITIES = (CAP_KILL, CAP_SETGID, CAP_SETUID, CAP_SETPCAP)

# Inside gVisor this is the sandbox's own control group, which root may write to; under runc nobody may.
PIDS_MAX = Path("/sys/fs/cgroup/pids/pids.max")


def become_agent(environment: Mapping[str, str]) -> None:
    """Call this first, as root. Raises OSError when a step is refused."""
    limit_processes(environment)
    become_user(AGENT_UID)


def limit_processes(environment: Mapping[str, str], pids_max: Path = PIDS_MAX) -> None:
    """Limit processes inside gVisor too: at the host's limit the whole sandbox would end instead of a fork failing."""
    pids = environment.get("CELLHOUSE_PIDS")
    if pids:
        pids_max.write_text(pids, encoding="ascii")


def become_user(uid: int) -> None:
    """Change permanently to this user and the group of the same number, with KEPT_CAPABILITIES."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_KEEPCAPS, 1)
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    set_capabilities(KEPT_CAPABILITIES)
