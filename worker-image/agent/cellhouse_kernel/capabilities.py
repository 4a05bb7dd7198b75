"""The system calls about privileges that Python does not offer (<linux/prctl.h>, <linux/capability.h>).

They affect only the calling thread: a process that changes its privileges must have a single thread.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from typing import NamedTuple

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4
PR_SET_KEEPCAPS = 8
PR_CAPBSET_READ = 23
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_GET_NO_NEW_PRIVS = 39
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_IS_SET = 1
PR_CAP_AMBIENT_CLEAR_ALL = 4
CAPABILITY_VERSION_3 = 0x20080522
# All capability numbers are below this; a system answers EINVAL for those that it does not know.
MAX_CAPABILITIES = 64

_libc = ctypes.CDLL(None, use_errno=True)
# A process makes some hundred calls when it gives up its privileges. So the arguments of each call are converted in C.
_raw_prctl = _libc.prctl
_raw_prctl.argtypes = (ctypes.c_int, *[ctypes.c_ulong] * 4)


class _Header(ctypes.Structure):
    # Process 0 is the caller.
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Sets(ctypes.Structure):
    # A call takes two of these: for the lower and for the upper 32 capabilities.
    _fields_ = [
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    ]


# Made once: making a type takes longer than the call.
_BothSets = _Sets * 2


class CapabilitySets(NamedTuple):
    """All five capability sets, each a bit mask."""

    effective: int
    permitted: int
    inheritable: int
    bounding: int
    ambient: int


def prctl(option: int, argument: int = 0, argument2: int = 0) -> int:
    """Call prctl; raises OSError when it is refused."""
    return _check(_prctl(option, argument, argument2), f"prctl {option} {argument}")


def set_capabilities(kept: Iterable[int]) -> None:
    """Make just these, all below 32, permitted and effective, and none inheritable. Raises OSError."""
    mask = sum(1 << capability for capability in kept)
    sets = _BothSets(_Sets(mask, mask, 0), _Sets(0, 0, 0))
    _check(_libc.capset(ctypes.byref(_header()), ctypes.byref(sets)), "capset")


def empty_bounding_and_ambient_set() -> None:
    """Let no program that is executed from now on get a capability. Raises OSError."""
    for capability in _answers(PR_CAPBSET_READ):
        prctl(PR_CAPBSET_DROP, capability)
    if _answers(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET):
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)


def capability_sets() -> CapabilitySets:
    """The sets of the calling thread. The ambient set is empty where the system has none (gVisor)."""
    sets = _BothSets()
    _check(_libc.capget(ctypes.byref(_header()), ctypes.byref(sets)), "capget")
    low, high = sets
    return CapabilitySets(
        low.effective | high.effective << 32,
        low.permitted | high.permitted << 32,
        low.inheritable | high.inheritable << 32,
        _mask(_answers(PR_CAPBSET_READ)),
        _mask(_answers(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET)),
    )


def _mask(is_set: dict[int, int]) -> int:
    return sum(1 << capability for capability, answer in is_set.items() if answer)


def _answers(*question: int) -> dict[int, int]:
    """The answer about each capability that the system knows."""
    answers: dict[int, int] = {}
    for bit in range(MAX_CAPABILITIES):
        answer = _prctl(*question, bit)
        # The system knows all capabilities up to its last one.
        if answer < 0:
            break
        answers[bit] = answer
    return answers


def _prctl(option: int, *arguments: int) -> int:
    """The raw call; missing arguments are 0, as prctl demands."""
    return int(_raw_prctl(option, *(*arguments, 0, 0, 0, 0)[:4]))


def _header() -> _Header:
    return _Header(CAPABILITY_VERSION_3, 0)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result
