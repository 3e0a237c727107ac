"""Kinds that only outputs have: a list of a fixed length, and None."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cog.internal.contract.containers import each
from cog.internal.contract.kinds import Kind, Mismatch, Schema, got
from cog.internal.pristine import builtins as __builtins__  # noqa: F401


class TupleOf(Kind):
    """A list of a fixed length, in which each item has its own type."""

    def __init__(self, items: Sequence[Kind]) -> None:
        self._items = list(items)
        self.text = f"a list of {len(items)} item{'' if len(items) == 1 else 's'}"

    def schema(self) -> Schema:
        # OpenAPI 3.0 cannot express the type of each item.
        kinds: list[Schema] = []
        for item in self._items:
            if item.schema() not in kinds:
                kinds.append(item.schema())
        items: Schema = kinds[0] if len(kinds) == 1 else {} if {} in kinds else {"anyOf": kinds}
        return {
            "type": "array",
            "items": items,
            "minItems": len(self._items),
            "maxItems": len(self._items),
        }

    def check(self, value: Any) -> Any:
        if isinstance(value, (str, bytes, dict, set, frozenset)) or not hasattr(value, "__iter__"):
            raise Mismatch(f"must be {self.text}; got {got(value)}")
        given = list(value.tolist() if hasattr(value, "tolist") else value)
        if len(given) != len(self._items):
            raise Mismatch(f"must be {self.text}; got {len(given)}")
        return tuple(each(given, lambda i, item: self._items[i].check(item)))

    def jsonable(self, value: Any) -> Any:
        return [kind.jsonable(item) for kind, item in zip(self._items, value)]


class Nothing(Kind):
    """The kind of None, which is null in JSON."""

    text = "null"

    def schema(self) -> Schema:
        return {"enum": [None], "nullable": True}

    def check(self, value: Any) -> Any:
        if value is not None:
            raise Mismatch(f"must be None; got {got(value)}")
        return None
