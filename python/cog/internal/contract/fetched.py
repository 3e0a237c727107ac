"""Checks which paths may become files while a request is decoded: those of its file table, and
never a path that the client has written.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextvars import ContextVar
from typing import Any

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os

#: The message for a refused string or path.
WANTED = "must be an http://, https:// or data: URL"

_ATOMS = frozenset((str, int, float, bool, bytes, type(None)))
_RECORDS = ("__cog_fields__", "__dataclass_fields__", "model_fields", "__fields__")

#: Characters of the longest string that can be a path (PATH_MAX of Linux).
_LONGEST = 4096


class Fetched:
    """The files of the current request. ``defaults`` are the strings that the author has given as
    defaults of fields.
    """

    def __init__(self, paths: Collection[str], defaults: Collection[str]) -> None:
        self._paths = paths
        self._defaults = defaults

    def has(self, path: str) -> bool:
        """Whether a path is a file of the request."""
        return path in self._paths

    def check_text(self, text: str) -> None:
        """Raise ValueError if a string must not become a path or a file."""
        if text not in self._defaults and text not in self._paths:
            raise ValueError(WANTED)

    def check_made(self, made: Any, value: Any) -> None:
        """Raise ValueError if an object that was made of a JSON value has a path that the value
        names. This check is needed because types of other libraries make paths without calling
        `check_text`.
        """
        strange = [path for path in _paths_in(made, set()) if path not in self._paths]
        if strange:
            named = {_plain(text) for text in _texts_in(value) if len(text) < _LONGEST}
            if any(_plain(path) in named for path in strange):
                raise ValueError(WANTED)


#: Set while a pydantic model, which checks itself, is made of a request.
decoding: ContextVar[Fetched | None] = ContextVar("decoding", default=None)


def _plain(path: str) -> str:
    return os.path.normpath(path.strip()) if path.strip() else ""


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
        if value.lstrip()[:1] in ("{", "[", '"'):  # a type of pydantic decodes such a string
            yield from _texts_in(_of_json(value))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts_in(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts_in(item)


def _of_json(text: str) -> Any:
    import json

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _paths_in(made: Any, seen: set[int]) -> Iterator[str]:
    if isinstance(made, os.PathLike):
        path = os.fspath(made)
        yield path if isinstance(path, str) else os.fsdecode(path)
        return
    if type(made) in _ATOMS or isinstance(made, type) or id(made) in seen:
        return
    seen.add(id(made))
    for part in _parts(made):
        if type(part) not in _ATOMS:
            yield from _paths_in(part, seen)


def _parts(made: Any) -> Iterator[Any]:
    if isinstance(made, Mapping):
        yield from made
        yield from made.values()
    elif isinstance(made, (list, tuple, set, frozenset)) or type(made).__name__ == "deque":
        yield from made
    elif any(hasattr(type(made), mark) for mark in _RECORDS):
        yield from getattr(made, "__dict__", {}).values()
        yield getattr(made, "__pydantic_extra__", None)
        for base in type(made).__mro__:
            slots = vars(base).get("__slots__", ())
            for name in (slots,) if isinstance(slots, str) else slots:
                if not name.startswith("_"):
                    yield getattr(made, name, None)
