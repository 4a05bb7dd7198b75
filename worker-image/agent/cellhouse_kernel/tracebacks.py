"""Makes tracebacks short enough to be formatted: IPython looks at every frame, so a million frames take it minutes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType

# Frames kept of a longer traceback, from its outer and its inner end. Up to their sum, nothing is left out: that is
# more than Python's default recursion limit.
OUTER_FRAMES = 100
INNER_FRAMES = 1_000
# Exceptions kept of a longer chain (`raise ... from`, or raised while handling another).
MAX_CHAINED = 10


def shortened(trace: TracebackType | None) -> tuple[TracebackType | None, int]:
    """A traceback without its middle, and how many frames were left out."""
    entries: list[TracebackType] = []
    entry = trace
    while entry is not None:
        entries.append(entry)
        entry = entry.tb_next
    left_out = len(entries) - OUTER_FRAMES - INNER_FRAMES
    if left_out <= 0:
        return trace, 0
    joined: TracebackType | None = entries[-INNER_FRAMES]
    for outer in reversed(entries[:OUTER_FRAMES]):
        joined = TracebackType(joined, outer.tb_frame, outer.tb_lasti, outer.tb_lineno)
    return joined, left_out


def inner_frames(trace: TracebackType | None, offset: int) -> TracebackType | None:
    """A traceback without its `offset` outermost frames; whole if it has no others."""
    inner = trace
    for _ in range(offset):
        inner = inner.tb_next if inner else None
    return inner or trace


@contextmanager
def short_chain(error: BaseException) -> Iterator[int]:
    """Within this context, an exception and those it is chained to have short tracebacks and a short chain.

    Yields the number of frames left out. Afterwards all of the exceptions are as they were before.
    """
    left_out = 0
    with ExitStack() as restore:
        chain = list(chain_of(error))
        for link in chain:
            trace, missing = shortened(link.__traceback__)
            if missing:
                restore.callback(link.with_traceback, link.__traceback__)
                link.with_traceback(trace)
                left_out += missing
        _unchain(chain[-1], restore)
        yield left_out


def chain_of(error: BaseException) -> Iterator[BaseException]:
    """An exception and those it is chained to, newest first, as far as they are shown."""
    link: BaseException | None = error
    for _ in range(MAX_CHAINED):
        if link is None:
            return
        yield link
        link = link.__cause__ or link.__context__


def _unchain(error: BaseException, restore: ExitStack) -> None:
    cause, context = error.__cause__, error.__context__
    is_suppressed = error.__suppress_context__

    def chain_again() -> None:
        error.__cause__, error.__context__ = cause, context
        error.__suppress_context__ = is_suppressed

    restore.callback(chain_again)
    error.__cause__ = error.__context__ = None
