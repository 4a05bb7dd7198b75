"""A WebSocket frame of text, as a server sends it (RFC 6455, section 5.2)."""

from __future__ import annotations

import struct

# Final, and text.
FIRST_BYTE = 0x81
# Up to this length, the second byte is the length. Otherwise it says how long the number that follows is.
MAX_SHORT_BYTES = 125
TWO_BYTES_FOLLOW = 126
EIGHT_BYTES_FOLLOW = 127
MAX_TWO_BYTES = 0xFFFF


def frame_head(size: int) -> bytes:
    """The head of a frame whose text has this size in bytes."""
    if size <= MAX_SHORT_BYTES:
        return struct.pack("!BB", FIRST_BYTE, size)
    if size <= MAX_TWO_BYTES:
        return struct.pack("!BBH", FIRST_BYTE, TWO_BYTES_FOLLOW, size)
    return struct.pack("!BBQ", FIRST_BYTE, EIGHT_BYTES_FOLLOW, size)


def text_frames(texts: list[bytes]) -> bytes:
    """Frames for these texts, each UTF-8, one after another."""
    return b"".join(part for text in texts for part in (frame_head(len(text)), text))
