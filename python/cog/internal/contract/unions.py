"""Kinds for types with alternatives: a Union of types, and one of a few values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Callable

from cog.internal.contract.containers import DictOf
from cog.internal.contract.kinds import (
    STARS,
    Boolean,
    Files,
    Integer,
    Kind,
    Mismatch,
    Number,
    PathKind,
    Schema,
    Text,
    got,
    plain,
)
from cog.internal.pristine import builtins as __builtins__  # noqa: F401


class OneOf(Kind):
    """A Union. The first member that fits exactly reads the value; a string is not converted."""

    def __init__(self, members: Sequence[Kind]) -> None:
        self.members = members
        self.text = " or ".join(member.text for member in members)

    def schema(self) -> Schema:
        return {"anyOf": [member.schema() for member in self.members]}

    def decode(self, value: Any, files: Files) -> Any:
        for kind in self.members:
            if fits(kind, value, files):
                return kind.decode(value, files)
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            for kind in self.members:
                if kind.is_number:
                    try:
                        return kind.decode(value, files)
                    except Mismatch:
                        continue
        raise Mismatch(
            f"must be {self.text}{'' if any(self.hidden(value)) else '; got ' + got(value)}"
        )

    def check(self, value: Any) -> Any:
        return self._first(value, lambda kind: kind.check(value))

    def default(self, value: Any) -> Any:
        return self._first(plain(value), lambda kind: kind.default(value))

    def _first(self, value: Any, read: Callable[[Kind], Any]) -> Any:
        """Return the value as the first member reads it. Members of exactly its Python type come
        first.
        """
        exact = [kind for kind in self.members if _is_exactly(kind, value)]
        for kind in (*exact, *self.members):
            try:
                return read(kind)
            except Mismatch:
                continue
        raise Mismatch(f"must be {self.text}; got {got(value)}")

    def jsonable(self, value: Any) -> Any:
        if hasattr(value, "get_secret_value") or any(self.hidden(value)):
            return STARS
        return str(value) if hasattr(value, "__fspath__") else super().jsonable(value)

    def hidden(self, value: Any) -> Iterator[str]:
        for member in self.members:
            yield from member.hidden(value)


_EXACT: tuple[tuple[type[Kind], tuple[type[Any], ...]], ...] = (
    (Text, (str,)),
    (Integer, (int,)),
    (Number, (float,)),
    (Boolean, (bool,)),
    (DictOf, (dict,)),
)


def _is_exactly(kind: Kind, value: Any) -> bool | None:
    """Whether a value has the Python type of a simple kind, or None for other kinds."""
    return next((type(value) in types for node, types in _EXACT if isinstance(kind, node)), None)


def fits(kind: Kind, value: Any, files: Files) -> bool:
    """Whether a JSON value has exactly this type."""
    if isinstance(kind, PathKind):
        return files.pointer in files.paths
    exactly = _is_exactly(kind, value)
    if exactly is not None:
        return exactly
    try:
        kind.decode(value, files)
    except Mismatch:
        return False
    return True


class Choice(Kind):
    """One of a few values, which ``base`` decodes."""

    def __init__(
        self,
        values: Sequence[Any],
        base: Kind,
        make: Callable[[Any], Any] = lambda value: value,
        description: str | None = None,
    ) -> None:
        self.values: list[Any] = list(values)
        self.base = base
        self._make = make
        self._description = description
        self.is_number = base.is_number
        self.text = "one of: " + ", ".join(map(str, self.values))

    def schema(self) -> Schema:
        described = {} if self._description is None else {"description": self._description}
        # If the values have several types, the values alone tell them.
        typed = {} if self.base.members else self.base.schema()
        return {"enum": self.values, **typed, **described}

    def decode(self, value: Any, files: Files) -> Any:
        found = self.base.decode(value, files)
        if not any(type(found) is type(v) and found == v for v in self.values):
            raise Mismatch(f"must be {self.text}; got {got(value)}")
        return self._make(found)

    def check(self, value: Any) -> Any:
        if getattr(value, "value", value) not in self.values:
            raise Mismatch(f"must be {self.text}; got {got(value)}")
        return value

    def jsonable(self, value: Any) -> Any:
        return getattr(value, "value", value)
