"""Reads large JSON messages without a copy of the long strings in them.

Because getting new memory takes longer than filling it, this module needs less. ``json`` needs
three times the size of a long string: for the bytes of the message, for its text and for the value.
Here the file is mapped, and only the value takes new memory.

The scanner of ``json`` reads the message with ``NaN``, which no message contains, in place of each
long string. For each ``NaN`` it calls a function, which returns the string.
"""

from __future__ import annotations

from _thread import allocate_lock as _lock
from typing import Any

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import json

#: Bytes. A longer string is cut out of the message.
_LONG = 64 << 10

#: The number of strings whose length is checked. In a message with more, checking takes longer than
#: it saves.
_LOOKS = 256

_guard = _lock()  # guards _strings, which belong to one message at a time

#: The long strings of the message that is being read, the first one last.
_strings: list[str] = []


def _next_string(_: str) -> str:
    return _strings.pop()


# getattr, because typeshed does not have it.
_scan = getattr(json.JSONDecoder(parse_constant=_next_string), "scan_once")  # noqa: B009


def decode_file(fd: int, size: int) -> Any:
    """Return the value of a file of ``size`` bytes of JSON text in UTF-8.

    Raises ValueError if it is not JSON, and OSError if the file cannot be mapped.
    """
    import mmap  # local, because most models never need it

    with mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ) as data:
        text, found = _without_long_strings(data)
    try:
        value, end = _scan_with(text, found)
    except (StopIteration, IndexError):
        raise ValueError("not JSON") from None
    if text[end:].strip(" \t\n\r"):
        raise ValueError("more than one JSON value")
    return value


def _scan_with(text: str, found: list[str]) -> tuple[Any, int]:
    with _guard:
        _strings[:] = reversed(found)
        try:
            result: tuple[Any, int] = _scan(text, 0)
            return result
        finally:
            _strings.clear()


def _without_long_strings(data: Any) -> tuple[str, list[str]]:
    """Return the message with ``NaN`` in place of each long string, and these strings.

    Works for messages without a backslash, in which each quote begins or ends a string. Any other
    message is returned as it is.
    """
    if data.find(b"\\") >= 0:
        return str(data, "utf-8"), []
    parts, strings, done, at = [], [], 0, 0
    with memoryview(data) as view:
        for _ in range(_LOOKS):
            start = data.find(b'"', at)
            end = data.find(b'"', start + 1)
            if start < 0 or end < 0:
                break
            at = end + 1
            if end - start > _LONG and _is_value(data[at : at + 64]):
                parts.append(data[done:start])
                strings.append(str(view[start + 1 : end], "utf-8"))
                done = at
    parts.append(data[done:])
    return b"NaN".join(parts).decode("utf-8"), strings


def _is_value(after: bytes) -> bool:
    """Whether the bytes after a string show that it is a value, and not a name in an object."""
    return after.lstrip()[:1] in (b",", b"}", b"]")
