"""The kind for objects with named fields: dataclasses, BaseModels and TypedDicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Callable, NamedTuple

from cog.internal.contract.containers import Nullable
from cog.internal.contract.exception_text import describe
from cog.internal.contract.kinds import Files, Kind, Mismatch, Schema, got, is_record
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import json


class Slot(NamedTuple):
    """A field of a Record. ``default`` returns a new default; it is None if the field does not have
    one.
    """

    name: str
    kind: Kind
    default: Callable[[], Any] | None
    shown: Any = None  # the default as the schema shows it
    description: str | None = None


def is_json(value: Any) -> bool:
    """Whether JSON can express a value as it is."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def title_of(name: str) -> str:
    """Return the title of an input or a field."""
    return name.replace("_", " ").title().strip()


class Record(Kind):
    """An object with named fields: a dataclass, a BaseModel or a TypedDict."""

    def __init__(
        self,
        name: str,
        slots: Sequence[Slot],
        make: Callable[[dict[str, Any]], Any],
        description: str | None = None,
    ) -> None:
        self.name = name
        self.slots = list(slots)
        self._make = make
        self._description = description
        self.text = f"an object of type {name}"

    def schema(self) -> Schema:
        properties = {}
        for slot in self.slots:
            shown = {"title": title_of(slot.name), **slot.kind.schema()}
            if slot.shown is not None and is_json(slot.kind.jsonable(slot.shown)):
                shown["default"] = slot.kind.jsonable(slot.shown)
            if slot.description is not None:
                shown["description"] = slot.description
            properties[slot.name] = shown
        out: Schema = {"type": "object", "title": self.name, "properties": properties}
        required = [slot.name for slot in self.slots if self._required(slot)]
        if required:
            out["required"] = required
        if self._description is not None:
            out["description"] = self._description
        return out

    def _required(self, slot: Slot) -> bool:
        return slot.default is None and not isinstance(slot.kind, Nullable)

    def decode(self, value: Any, files: Files) -> Any:
        if not isinstance(value, dict):
            raise Mismatch(f"must be an object; got {got(value)}")
        return self._build(value, lambda slot, item: slot.kind.decode(item, files.at(slot.name)))

    def check(self, value: Any) -> Any:
        return self._of_author(value, lambda slot, item: slot.kind.check(item))

    def default(self, value: Any) -> Any:
        return self._of_author(value, lambda slot, item: slot.kind.default(item))

    def _of_author(self, value: Any, f: Callable[[Slot, Any], Any]) -> Any:
        if is_record(value):
            return value
        if not isinstance(value, dict):
            raise Mismatch(f"must be {self.text}; got {got(value)}")
        return self._build(value, f)

    def jsonable(self, value: Any) -> Any:
        if not isinstance(value, Mapping):
            value = {
                slot.name: getattr(value, slot.name)
                for slot in self.slots
                if hasattr(value, slot.name)
            }
        return {
            slot.name: slot.kind.jsonable(value[slot.name])
            for slot in self.slots
            if slot.name in value
        }

    def hidden(self, value: Any) -> Iterator[str]:
        for slot in self.slots:
            if isinstance(value, dict) and slot.name in value:
                yield from slot.kind.hidden(value[slot.name])

    def _build(self, value: Mapping[str, Any], f: Callable[[Slot, Any], Any]) -> Any:
        made = {}
        for slot in self.slots:
            if slot.name not in value:
                if self._required(slot):
                    raise Mismatch("Field required", f".{slot.name}")
                made[slot.name] = None if slot.default is None else slot.default()
                continue
            try:
                made[slot.name] = f(slot, value[slot.name])
            except Mismatch as error:
                raise error.inside(f".{slot.name}") from None
        try:
            return self._make(made)
        except Mismatch:
            raise
        except Exception as error:
            raise Mismatch(f"cannot be made into {self.name}: {describe(error)}") from None
