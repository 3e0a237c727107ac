"""Reads return annotations: one value, or an iterator of values."""

from __future__ import annotations

import collections.abc
import typing
from typing import Any

from cog.internal.contract.annotations import show
from cog.internal.contract.kinds import Kind, Mismatch, Text
from cog.internal.contract.type_reader import Reader, Unsupported
from cog.internal.pristine import builtins as __builtins__  # noqa: F401

_ITERATORS = (
    collections.abc.Iterator,
    collections.abc.AsyncIterator,
    collections.abc.Generator,
    collections.abc.AsyncGenerator,
)


class Result(typing.NamedTuple):
    """The result of a method: one value of ``kind``, or an iterator of such values."""

    kind: Kind
    is_iterator: bool
    concatenated: bool

    def takes_items(self) -> bool:
        """Whether a list of a generator's items can be the value."""
        if self.kind.schema().get("type") == "array":
            return True
        try:
            self.kind.check([])
        except Mismatch:
            return False
        return True

    def schema(self) -> dict[str, Any]:
        """Return the schema of the output."""
        if not self.is_iterator:
            described = {} if self.kind.values is None else {"description": "An enumeration."}
            return {**self.kind.schema(), **described, "title": "Output"}
        out = {
            "title": "Output",
            "type": "array",
            "items": self.kind.schema(),
            "x-cog-array-type": "iterator",
        }
        if self.concatenated:
            out["x-cog-array-display"] = "concatenate"
        return out


def _concatenates(found: Any) -> bool:
    from cog.types import AsyncConcatenateIterator, ConcatenateIterator

    return found in (ConcatenateIterator, AsyncConcatenateIterator)


def read_result(annotation: Any, reader: Reader) -> Result:
    """Read a return annotation. Raises Unsupported with the reason."""
    found, _ = reader.resolved(annotation)
    origin = typing.get_origin(found) or found
    if getattr(origin, "__module__", "") == "cog.types" and _concatenates(origin):
        item = typing.get_args(found)[0] if typing.get_args(found) else str
        kind = reader.output(item)
        if not isinstance(kind, Text):
            raise Unsupported(
                f"a ConcatenateIterator joins strings, so its item must be str, not {show(item)}"
            )
        return Result(kind, True, True)
    if origin in _ITERATORS:
        arguments = typing.get_args(found)
        if not arguments or isinstance(arguments[0], typing.TypeVar):
            raise Unsupported(
                f"{show(found)} does not say what it yields: write Iterator[str], for example"
            )
        return Result(reader.output(arguments[0]), True, False)
    return Result(reader.output(annotation), False, False)
