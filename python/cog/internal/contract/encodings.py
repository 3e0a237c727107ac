"""Decodes the Content-Encoding of a file as the server does for inputs, see
internal/files/encoding.go.

This is needed because a source that stores a file encoded sends it encoded, whatever
Accept-Encoding says.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Callable

from cog.internal.pristine import builtins as __builtins__  # noqa: F401

#: The most bytes that one call decodes.
_PIECE = 1 << 16

_DECODED = frozenset(("gzip", "x-gzip", "deflate"))
#: The encodings that are refused. Other names are not encodings, because stores repeat the header
#: of the uploader, such as utf-8 or aws-chunked.
_UNKNOWN = frozenset(
    ("br", "zstd", "compress", "x-compress", "dcb", "dcz", "exi", "pack200-gzip", "aes128gcm")
)
_MAX_CODINGS = 3

#: The most times that a decoded file may be larger than the encoded one. A decoded file of at most
#: ``_FREE_OF_RATIO`` bytes may be any number of times larger.
_MAX_RATIO = 200
_FREE_OF_RATIO = 16 << 20

_GZIP = b"\x1f\x8b"
_PREFIX = "decode its Content-Encoding: "


def codings_of(lines: list[str]) -> list[str]:
    """Return the encodings that the lines of the header name, in the order in which they were
    applied. Raises OSError for one that cannot be decoded.
    """
    named = [coding.strip().lower() for line in lines for coding in line.split(",")]
    for coding in named:
        if coding in _UNKNOWN:
            raise OSError(
                f'the file comes with the Content-Encoding "{coding}";'
                " only gzip and deflate can be decoded"
            )
    codings = [coding for coding in named if coding in _DECODED]
    if len(codings) > _MAX_CODINGS:
        raise OSError(
            f"the file comes with {len(codings)} Content-Encodings;"
            f" at most {_MAX_CODINGS} can be decoded"
        )
    return codings


def decoded(pieces: Iterator[bytes], codings: list[str]) -> Iterator[bytes]:
    """Yield the decoded file. Raises OSError if the bytes do not have the encodings, or if the file
    is too large.
    """
    sent = 0

    def counted() -> Iterator[bytes]:
        nonlocal sent
        for piece in pieces:
            sent += len(piece)
            yield piece

    file = counted()
    for coding in reversed(codings):
        file = _decoded(file, coding)
    size = 0
    for piece in file:
        size += len(piece)
        if size > _FREE_OF_RATIO and size // _MAX_RATIO > sent:
            raise OSError(
                f"the decoded file is more than {_MAX_RATIO} times as large as the encoded one"
            )
        yield piece


def _decoded(pieces: Iterator[bytes], coding: str) -> Iterator[bytes]:
    read = _Source(pieces).read
    data = read(b"")
    if not data:
        return  # because servers often send an empty file without an encoding
    kind = _window(data, coding)
    while True:
        stream = zlib.decompressobj(kind)
        yield from _inflated(stream, data, read)
        if coding == "deflate":
            return
        data = read(stream.unused_data)
        if not data.startswith(_GZIP):
            break
    for _ in pieces:  # some sources append zeros
        pass


class _Source:
    """Reads pieces of at least two bytes, until the end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self, data: bytes) -> bytes:
        """Return ``data`` with enough of the next pieces to have two bytes."""
        for piece in self._pieces if len(data) < 2 else ():
            data += piece
            if len(data) >= 2:
                break
        return data


def _window(start: bytes, coding: str) -> int:
    """Return zlib's number for the form of the encoded bytes."""
    if coding != "deflate":
        return 16 + zlib.MAX_WBITS
    if start[0] & 0xF == 8 and int.from_bytes(start[:2], "big") % 31 == 0:
        return zlib.MAX_WBITS  # as RFC 9110 says
    return -zlib.MAX_WBITS  # as some servers send it


def _inflated(
    stream: zlib._Decompress, data: bytes, read: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    try:
        while not stream.eof:
            ended = not data
            piece = stream.flush() if ended else stream.decompress(data, _PIECE)
            if piece:
                yield piece
            if ended and not stream.eof:
                raise OSError(_PREFIX + "unexpected end")
            data = stream.unconsumed_tail or (b"" if stream.eof else read(b""))
    except zlib.error as error:
        raise OSError(f"{_PREFIX}{error}") from None
