"""How messages travel between a kernel and its agent: over a pair of connected Unix sockets (SOCK_SEQPACKET).

A message is a list of parts, packed into one or more packets. A packet arrives whole or not at all, in order, and with
its sender's number, so that

- a send that user code interrupts can be repeated: the agent drops a number that it has seen;
- a forked child may send on the same socket: packets of several processes come mixed, never torn.

Nothing on this way can drop a message: when the agent does not read, the sender waits. Both sides use this module.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

# Text and small figures fit one packet; the socket's buffer (some 400 KB) holds several.
MAX_PACKET_BYTES = 98_304
# Sender (its process id), number of the packet, whether the message goes on in its next.
PACKET_HEAD = struct.Struct("<IQ?")
# Channel, type, id of the parent, metadata, content; then buffers.
MIN_PARTS = 5
MAX_PARTS = 1_024


class MalformedParts(ValueError):
    """Bytes that `pack_parts` did not make."""


def pack_parts(parts: Sequence[bytes]) -> bytes:
    """The bytes of a message: the number of its parts, their lengths, and they themselves."""
    return b"".join((struct.pack(f"<H{len(parts)}Q", len(parts), *map(len, parts)), *parts))


def unpack_parts(data: bytes, count: int | None = None) -> list[bytes]:
    """The parts, or only the first `count` of a message that is not there to its end. Raises MalformedParts."""
    try:
        (total,) = struct.unpack_from("<H", data)
        if not MIN_PARTS <= total <= MAX_PARTS:
            raise MalformedParts("number of parts")
        lengths = struct.unpack_from(f"<{total}Q", data, 2)
    except struct.error as error:
        raise MalformedParts("too short") from error
    start = 2 + 8 * total
    if count is None and start + sum(lengths) != len(data):
        raise MalformedParts("lengths")
    parts = []
    for length in lengths[:count]:
        parts.append(data[start : start + length])
        start += length
    if start > len(data):
        raise MalformedParts("too short")
    return parts


def packets(data: bytes, sender: int, first_number: int) -> Iterator[tuple[int, bytes]]:
    """The packets of a message, each with its number."""
    number = first_number
    for start in range(0, len(data), MAX_PACKET_BYTES):
        end = start + MAX_PACKET_BYTES
        yield number, PACKET_HEAD.pack(sender, number, end < len(data)) + data[start:end]
        number += 1
