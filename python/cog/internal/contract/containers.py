"""Kinds that contain others: lists, objects and nullable values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Callable

from cog.internal.contract.kinds import Anything, Files, Kind, Mismatch, Schema, got, is_record
from cog.internal.pristine import builtins as __builtins__  # noqa: F401


def _plural(text: str) -> str:
    """Return the plural of the description of a kind, such as ``a string``."""
    article, _, noun = text.partition(" ")
    if article not in ("a", "an"):
        return f"items ({text})"
    return f"lists{noun[len('list') :]}" if noun.startswith("list of ") else f"{noun}s"


class ListOf(Kind):
    """A list. ``unique`` marks a set in the schema."""

    def __init__(self, item: Kind, unique: bool = False) -> None:
        self.item = item
        self._unique = unique
        self.text = f"a list of {_plural(item.text)}"

    def schema(self) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema()}
        return {**schema, "uniqueItems": True} if self._unique else schema

    def decode(self, value: Any, files: Files) -> Any:
        if not isinstance(value, (list, tuple)):
            raise Mismatch(f"must be a list; got {got(value)}")
        return each(value, lambda i, item: self.item.decode(item, files.at(i)))

    def check(self, value: Any) -> Any:
        if isinstance(value, (str, bytes, dict)) or not hasattr(value, "__iter__"):
            raise Mismatch(f"must be a list; got {got(value)}")
        if type(self.item) is Anything:
            return value
        if isinstance(value, (set, frozenset)):
            try:
                value = sorted(value)
            except TypeError:
                value = list(value)
        if hasattr(value, "tolist"):
            value = value.tolist()
        return each(value, lambda i, item: self.item.check(item))

    def default(self, value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise Mismatch(f"must be a list; got {got(value)}")
        return each(value, lambda i, item: self.item.default(item))

    def fresh(self, value: Any) -> Any:
        return [self.item.fresh(item) for item in value]

    def jsonable(self, value: Any) -> Any:
        return [self.item.jsonable(item) for item in value]

    def hidden(self, value: Any) -> Iterator[str]:
        for item in value if isinstance(value, list) else ():
            yield from self.item.hidden(item)


def each(values: Any, f: Callable[[int, Any], Any]) -> list[Any]:
    """Return a list with ``f`` of every item. A Mismatch names the item."""
    out = []
    for i, item in enumerate(values):
        try:
            out.append(f(i, item))
        except Mismatch as error:
            raise error.inside(f"[{i}]") from None
    return out


class DictOf(Kind):
    """An object with any keys. ``value`` is None if the annotation does not name the type of its
    values.
    """

    text = "an object"

    def __init__(self, value: Kind | None = None) -> None:
        self.value = value

    def schema(self) -> Schema:
        if self.value is None:
            return {"type": "object"}
        return {"type": "object", "additionalProperties": self.value.schema() or True}

    def decode(self, value: Any, files: Files) -> Any:
        if not isinstance(value, dict):
            raise Mismatch(f"must be an object; got {got(value)}")
        if self.value is None:
            return value
        kind = self.value
        return _every(value, lambda key, item: kind.decode(item, files.at(key)))

    def check(self, value: Any) -> Any:
        if not hasattr(value, "items"):
            if is_record(value):
                return value
            raise Mismatch(f"must be an object; got {got(value)}")
        if self.value is None or type(self.value) is Anything:
            return value
        kind = self.value
        return _every(value, lambda key, item: kind.check(item))

    def default(self, value: Any) -> Any:
        if not isinstance(value, dict):
            raise Mismatch(f"must be an object; got {got(value)}")
        kind = self.value or Anything()
        return _every(value, lambda key, item: kind.default(item))

    def jsonable(self, value: Any) -> Any:
        kind = self.value or Anything()
        return _every(value, lambda key, item: kind.jsonable(item))

    def hidden(self, value: Any) -> Iterator[str]:
        if self.value is not None and isinstance(value, dict):
            for item in value.values():
                yield from self.value.hidden(item)


def _every(values: Mapping[str, Any], f: Callable[[str, Any], Any]) -> dict[str, Any]:
    out = {}
    for key, item in values.items():
        try:
            out[key] = f(key, item)
        except Mismatch as error:
            raise error.inside(f".{key}") from None
    return out


def nullable(kind: Kind) -> Kind:
    """Return the kind of values that fit ``kind`` or are None."""
    return kind if isinstance(kind, Nullable) else Nullable(kind)


class Nullable(Kind):
    """A value of ``inner``, or None."""

    def __init__(self, inner: Kind) -> None:
        self.inner = inner
        self.text = f"{inner.text} or null"
        self.is_number = inner.is_number

    def schema(self) -> Schema:
        return {**self.inner.schema(), "nullable": True}

    def decode(self, value: Any, files: Files) -> Any:
        return None if value is None else self.inner.decode(value, files)

    def check(self, value: Any) -> Any:
        return None if value is None else self.inner.check(value)

    def default(self, value: Any) -> Any:
        return None if value is None else self.inner.default(value)

    def fresh(self, value: Any) -> Any:
        return None if value is None else self.inner.fresh(value)

    def jsonable(self, value: Any) -> Any:
        return None if value is None else self.inner.jsonable(value)

    def hidden(self, value: Any) -> Iterator[str]:
        return self.inner.hidden(value)
