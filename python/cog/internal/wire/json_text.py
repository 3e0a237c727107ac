"""Converts messages to JSON text and back, with as few copies of long strings as possible.

`large.decode_file` reads the messages that are too large for `decode`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Callable

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import json

#: Characters. A longer string is encoded in pieces of `_PIECE` characters. Each piece is first
#: searched for bytes that need an escape.
_LONG = 4096
_PIECE = 64 << 10
_UNESCAPED = bytes(0x20 if byte < 0x20 or byte in b'"\\' else byte for byte in range(256))


_scan = getattr(json.JSONDecoder(), "scan_once")  # noqa: B009 - typeshed does not have it


def _refuse(value: Any) -> Any:
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def _make_encode() -> Callable[[Any], str]:
    """Make a function like json.dumps that calls the C encoder directly. json.dumps makes an
    encoder for each call, and a model can replace the Python code between the two. The function
    raises RecursionError for a value that contains itself.
    """
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
    text = json.encoder.encode_basestring
    iterate = make(None, _refuse, text, None, ":", ",", False, False, False)
    return lambda value: "".join(iterate(value, 0))


encode = _make_encode()


def decode(text: str) -> Any:
    """Return the value of JSON text. Raises ValueError if it is not JSON."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("not JSON") from None
    if text[end:].strip(" \t\n\r"):
        raise ValueError("more than one JSON value")
    return value


def encoded(message: Any) -> bytes:
    """Return the JSON text of a message, in UTF-8."""
    return utf8(encode(message))


def text_json(text: str) -> bytes:
    """Return the JSON text of a string, in UTF-8."""
    return b"".join(text_pieces(text)) if len(text) > _LONG else utf8(encode(text))


def text_pieces(text: str) -> Iterator[bytes]:
    """Yield the JSON text of a long string in pieces, in UTF-8.

    The encoder reads a string twice, character by character. Most pieces do not need an escape, and
    checking that takes a quarter of the encoder's time. The whole string is never copied, because
    getting new memory takes longer than filling it.
    """
    yield b'"'
    at = 0
    while at < len(text):
        end = at + _PIECE
        if "\ud800" <= text[end - 1 : end] <= "\udbff":
            end += 1  # two surrogates may be one character
        piece = text[at:end]
        raw = utf8(piece)
        yield raw if raw.translate(_UNESCAPED) == raw else utf8(encode(piece))[1:-1]
        at = end
    yield b'"'


def utf8(text: str) -> bytes:
    """Return JSON text in UTF-8. Lone surrogates become U+FFFD, because readers may reject them."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")
