"""Reads large JSON messages without a copy of the long texts in them."""

from __future__ import annotations

from typing import Any

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import json

#: Texts of more bytes are long.
_LONG = 64 << 10

#: How many texts are looked at for long ones: where there are more, looking takes longer than it
#: saves.
_LOOKS = 256

#: The long texts of the message that is being read, the first one last.
_texts: list[str] = []


def _next_text(_: str) -> str:
    return _texts.pop()


_scan = getattr(json.JSONDecoder(parse_constant=_next_text), "scan_once")  # noqa: B009 - typeshed does not have it


def decode_file(fd: int, size: int) -> Any:
    """The value of a file of ``size`` bytes of JSON text in UTF-8; ValueError when it is none,
    OSError when it can't be mapped.

    New memory takes longer to get than to fill, and the ordinary way takes three times a long
    text's size of it: for the bytes, for their text, for the value. Here the file is mapped and
    only the value is new. Not for several threads at once.
    """
    import mmap  # most models never need it

    with mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ) as data:
        text, found = _without_long_texts(data)
    _texts[:] = reversed(found)
    try:
        value, end = _scan(text, 0)
    except (StopIteration, IndexError):
        raise ValueError("not JSON") from None
    finally:
        _texts.clear()
    if text[end:].strip(" \t\n\r"):
        raise ValueError("more than one JSON value")
    return value


def _without_long_texts(data: Any) -> tuple[str, list[str]]:
    """The message with ``NaN``, which no message has, in place of each long text, and these texts.
    Where nothing is escaped, quotes are where texts begin and end and nowhere else.
    """
    if data.find(b"\\") >= 0:
        return str(data, "utf-8"), []
    parts, texts, done, at = [], [], 0, 0
    with memoryview(data) as view:
        for _ in range(_LOOKS):
            start = data.find(b'"', at)
            end = data.find(b'"', start + 1)
            if start < 0 or end < 0:
                break
            at = end + 1
            if end - start > _LONG and data[at : at + 64].lstrip()[:1] in (
                b",",
                b"}",
                b"]",
            ):  # not a name
                parts.append(data[done:start])
                texts.append(str(view[start + 1 : end], "utf-8"))
                done = at
    parts.append(data[done:])
    return b"NaN".join(parts).decode("utf-8"), texts
