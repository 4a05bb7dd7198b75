"""How messages travel between a kernel and its agent: over a pair of connected Unix sockets (SOCK_SEQPACKET).

A message is a list of parts. Small messages are sent together in one packet, a large one in several packets. A packet
arrives whole or not at all, in order, and with its sender's id and a number, so that

- a send that user code interrupts can be repeated: the agent drops a packet that comes twice in a row;
- a forked child may send on the same socket: packets of several processes arrive mixed, but never torn.

User code can send on this socket, too, and pretend to be any process. That must not hide the kernel's own messages. So
each packet itself says whether it begins a message, whatever came before it.

No message is dropped on the way: when the agent does not read, the sender waits. Both sides use this module.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

# Text and small charts fit one packet; the socket's buffer (some 400 KB) holds several.
MAX_PACKET_BYTES = 98_304
# The sender's process id, the packet's number, whether it begins with a new message, and whether its last message
# continues in the next packet.
PACKET_HEAD = struct.Struct("<IQ??")
# Channel, type, id of the parent, metadata, content; then buffers.
MIN_PARTS = 5
MAX_PARTS = 1_024
# The most messages in one packet, since the agent handles them without a pause. The kernel's own packets have far
# fewer: each message has more than a hundred bytes, and they are sent together only up to 16 KB.
MAX_TOGETHER = 512


class MalformedParts(ValueError):
    """Bytes that `pack_parts` did not make."""


def pack_parts(parts: Sequence[bytes]) -> bytes:
    """The bytes of a message: the number of its parts, their lengths, and the parts themselves."""
    return b"".join((struct.pack(f"<H{len(parts)}Q", len(parts), *map(len, parts)), *parts))


def unpack_parts[Data: (
    bytes,
    memoryview,
)](data: Data, start: int = 0, count: int | None = None) -> tuple[list[Data], int]:
    """The parts of the message at `start`, and where the next one begins. Raises MalformedParts.

    With `count`, only the first parts, and the message may be incomplete. The parts of a view are views.
    """
    try:
        (total,) = struct.unpack_from("<H", data, start)
        if not MIN_PARTS <= total <= MAX_PARTS:
            raise MalformedParts("number of parts")
        lengths = struct.unpack_from(f"<{total}Q", data, start + 2)
    except struct.error as error:
        raise MalformedParts("too short") from error
    end = start + 2 + 8 * total
    parts = []
    for length in lengths[:count]:
        parts.append(data[end : end + length])
        end += length
    if end > len(data):
        raise MalformedParts("too short")
    return parts, end


def packets(data: bytes, sender: int, first_number: int) -> Iterator[tuple[int, bytes]]:
    """The packets that carry these bytes, each with its number."""
    number = first_number
    for start in range(0, len(data), MAX_PACKET_BYTES):
        end = start + MAX_PACKET_BYTES
        head = PACKET_HEAD.pack(sender, number, start == 0, end < len(data))
        yield number, head + data[start:end]
        number += 1
