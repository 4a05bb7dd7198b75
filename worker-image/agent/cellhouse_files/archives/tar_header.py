"""The 512 bytes before each member of a tar archive: written as GNU tar does, read as POSIX and GNU define them.

https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from cellhouse_files.refusals import Refused

BLOCK_BYTES = 512
# name, mode, uid, gid, size, mtime, checksum, type, link, magic, uname, gname, device numbers, prefix
FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
MAGIC = b"ustar  \0"
POSIX_MAGIC = b"ustar\0"
NAME_BYTES = 100
# Eleven octal digits. Larger numbers are binary.
MAX_OCTAL = 8**11 - 1
BINARY_BYTES = 11
LONG_NAME, LONG_LINK, PAX, PAX_GLOBAL = b"L", b"K", b"x", b"g"
FILE, OLD_FILE, CONTIGUOUS, FOLDER, SYMLINK = b"0", b"\0", b"7", b"5", b"2"
LONG = b"././@LongLink"


@dataclass(frozen=True)
class Header:
    """One member. `name` and `link` may be longer than their fields in a block."""

    name: bytes
    kind: bytes
    size: int = 0
    mode: int = 0o644
    modified_at: int = 0
    link: bytes = b""


def header_bytes(header: Header) -> bytes:
    """The header, after further headers for a long name or link."""
    before = b""
    for kind, text in ((LONG_LINK, header.link), (LONG_NAME, header.name)):
        if len(text) > NAME_BYTES:
            data = text + b"\0"
            before += _block(Header(LONG, kind, len(data))) + data + padding(len(data))
    return before + _block(header)


def padding(size: int) -> bytes:
    """Zeros up to the next block."""
    return b"\0" * (-size % BLOCK_BYTES)


def _block(header: Header) -> bytes:
    def packed(checksum: bytes) -> bytes:
        return FIELDS.pack(
            header.name[:NAME_BYTES],
            b"%07o\0" % header.mode,
            b"%07o\0" % 0,
            b"%07o\0" % 0,
            _number(header.size),
            _number(header.modified_at),
            checksum,
            header.kind,
            header.link[:NAME_BYTES],
            MAGIC,
            *[b""] * 5,
        )

    return packed(b"%06o\0 " % sum(packed(b" " * 8)))


def _number(value: int) -> bytes:
    if 0 <= value <= MAX_OCTAL:
        return b"%011o\0" % value
    if value > 0:
        return b"\x80" + value.to_bytes(BINARY_BYTES)
    # A time before 1970.
    return b"%011o\0" % 0


def parse_header(block: bytes) -> Header | None:
    """The header in a block; None for a block of zeros, which is the end. Raises Refused."""
    if not any(block):
        return None
    name, mode, _, _, size, time, checksum, kind, link, magic, *rest = FIELDS.unpack(block)
    expected = sum(block[:148]) + sum(block[156:]) + 8 * ord(" ")
    if _parsed(checksum) != expected:
        raise Refused("bad_archive", "This is no tar archive, or it is damaged.")
    path, prefix = _text(name), _text(rest[-1])
    if magic.startswith(POSIX_MAGIC) and prefix:
        path = prefix + b"/" + path
    if _parsed(size) < 0:
        raise Refused("bad_archive", "The archive has a negative size.")
    return Header(path, kind, _parsed(size), _parsed(mode) & 0o777, _parsed(time), _text(link))


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _parsed(field: bytes) -> int:
    """A number: octal digits, or binary if the first bit is set.

    GNU tar writes a time before 1970 as a negative number.
    """
    if field[0] == 0xFF:
        return int.from_bytes(field, signed=True)
    if field[0] & 0x80:
        return int.from_bytes(bytes([field[0] & 0x7F]) + field[1:])
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise Refused("bad_archive", "A number in the archive is malformed.")
    return int(digits or b"0", 8)
