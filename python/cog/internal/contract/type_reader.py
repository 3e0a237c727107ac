"""Reads annotations, and refuses types that Cog does not have."""

from __future__ import annotations

import collections.abc
import enum
import sys
import typing
from collections.abc import Mapping
from typing import Any, Literal

from cog.input import FieldInfo
from cog.internal.contract.annotations import (
    Unresolved,
    members,
    raw,
    resolve,
    show,
    stands_for,
    strip,
)
from cog.internal.contract.containers import DictOf, ListOf, Nullable, nullable
from cog.internal.contract.kinds import (
    Anything,
    Boolean,
    FileKind,
    Integer,
    Kind,
    Number,
    PathKind,
    SecretKind,
    Text,
)
from cog.internal.contract.records import Record, Slot
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os

SUPPORTED = (
    "str, int, float, bool, cog.Path, cog.File, cog.Secret, list, dict, Any, Literal,"
    " Enum of str or int, TypedDict, dataclass, cog.BaseModel, and Optional or Union of these"
)

_FORMATS = {"datetime": "date-time", "date": "date", "time": "time", "UUID": "uuid"}

_SCALARS: dict[Any, type] = {str: Text, int: Integer, float: Number, bool: Boolean}

#: The types of keys in an object of an output. They are written as ``json`` writes them.
_KEYS = (str, int, float, bool)


_SEQUENCES = (collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)


class Unsupported(Exception):
    """An annotation is not a type of Cog."""


class Reader:
    """Reads the annotations of one module. ``scope`` has the names that they quote."""

    def __init__(self, scope: Mapping[str, Any]) -> None:
        self._scope = scope
        # The records and named types that are being read, to notice one that contains itself.
        self._reading: list[Any] = []

    # -- inputs

    def input(self, annotation: Any) -> tuple[Kind, tuple[Any, ...]]:
        """Return the kind of an input, and the marks in its ``Annotated``. Raises Unsupported with
        the reason.
        """
        found, said, names = self._look(annotation)
        return self._kind(found, said, names, output=False), said

    # -- outputs

    def output(self, annotation: Any) -> Kind:
        """Return the kind of an output or of a part of one. Raises Unsupported with the reason."""
        return self._read(annotation, output=True)

    # -- batches

    def item_of_batch(self, annotation: Any, place: str, failures: bool = False) -> Any:
        """Return the annotation of one item of a batch, which is a list of items. Keeps the marks
        in an ``Annotated`` around the list. With ``failures`` the items may be exceptions too.
        Raises Unsupported.
        """
        found, said = self.resolved(annotation)
        arguments = typing.get_args(found)
        if typing.get_origin(found) is not list or isinstance(arguments[0], typing.TypeVar):
            raise Unsupported(
                "with @batch it must be a list with one value for each prediction,"
                f" not {show(found)}: write {place}list[{'str' if found is list else show(found)}]"
            )
        item, _ = self.resolved(arguments[0])
        results = [a for a in members(item) if not _is_failure(a)] if failures else []
        one = typing.Union[tuple(results)] if results else arguments[0]
        parts = (one, *said)
        return typing.Annotated[parts] if said else one

    def resolved(self, annotation: Any) -> tuple[Any, tuple[Any, ...]]:
        found, said, _ = self._look(annotation)
        return found, said

    def _look(self, annotation: Any) -> tuple[Any, tuple[Any, ...], list[Any]]:
        """Return the type that an annotation means, the marks in its ``Annotated``, and the names
        that stand for it.
        """
        said: tuple[Any, ...] = ()
        names: list[Any] = []
        try:
            while True:
                found, more = strip(resolve(annotation, self._scope))
                said += more
                if isinstance(found, (str, typing.ForwardRef)):
                    annotation = found
                    continue
                named = stands_for(found)
                if named is None:
                    return found, said, names
                if named[0] in names:
                    raise Unsupported(
                        f"{named[0].__name__} stands for itself, so it does not have a schema"
                    )
                names.append(named[0])
                annotation = named[1]
        except Unresolved as error:
            raise Unsupported(f"{error}; import it in the model's file") from None

    def _read(self, annotation: Any, output: bool) -> Kind:
        found, said, names = self._look(annotation)
        if any(isinstance(mark, FieldInfo) for mark in said):
            raise Unsupported(
                "Input(…) inside a type has no effect:"
                " write Annotated[type, Input(…)] around the whole type"
            )
        return self._kind(found, said, names, output)

    def _kind(self, found: Any, said: tuple[Any, ...], names: list[Any], output: bool) -> Kind:
        for name in names:
            if name in self._reading:
                raise Unsupported(_endless(name))
        self._reading += names
        try:
            if said and _is_opaque(said):
                return self._opaque(found, output)
            alternatives = members(found)
            if alternatives:
                return self._union(alternatives, output)
            return self._generic(found, output) or self._plain(found, output)
        finally:
            del self._reading[len(self._reading) - len(names) :]

    def _opaque(self, found: Any, output: bool) -> Kind:
        """Return the kind for any JSON value, in lists where the annotation has lists."""
        alternatives = members(found)
        if type(None) in alternatives:
            some = [a for a in alternatives if a is not type(None)]
            return Nullable(self._opaque(some[0] if len(some) == 1 else Any, output))
        if found is list or typing.get_origin(found) is list:
            item = typing.get_args(found)[:1]
            return ListOf(self._opaque(item[0] if item else Any, output))
        return Anything({"type": "object"} if output else {"type": "object", "x-cog-any": True})

    def _union(self, alternatives: tuple[Any, ...], output: bool) -> Kind:
        from cog.internal.contract.unions import OneOf  # local, because few models have one

        kinds: list[Kind] = []
        nullable = False
        for alternative in alternatives:
            if alternative is type(None):
                nullable = True
                continue
            kind = self._read(alternative, output)
            if isinstance(kind, Nullable):  # a named Optional, or a Literal with None
                nullable, kind = True, kind.inner
            kinds += kind.members or [kind]
        kind = kinds[0] if len(kinds) == 1 else OneOf(kinds)
        return Nullable(kind) if nullable else kind

    def _generic(self, found: Any, output: bool) -> Kind | None:
        origin, arguments = typing.get_origin(found), typing.get_args(found)
        if origin is Literal:
            return self._choices(arguments)
        if origin is list:
            return self._list(arguments[0] if arguments else Any, output)
        if origin is dict:
            return self._dict(arguments, output)
        if origin in _SEQUENCES and output:
            return self._list(arguments[0], output)
        if origin in (set, frozenset) and output:
            return ListOf(self._read(arguments[0] if arguments else Any, output), unique=True)
        if origin is tuple and output:
            return self._tuple(arguments)
        if origin is not None:
            raise Unsupported(self._no(found))
        return None

    def _list(self, item: Any, output: bool) -> Kind:
        if isinstance(item, typing.TypeVar) or self.resolved(item) == (Any, ()):
            return ListOf(Anything())
        return ListOf(self._read(item, output))

    def _tuple(self, arguments: tuple[Any, ...]) -> Kind:
        """Return the kind of an output tuple with items of these types."""
        if not arguments or arguments == ((),):
            return ListOf(Anything())
        if len(arguments) == 2 and arguments[1] is ...:
            return self._list(arguments[0], output=True)
        return _fixed([self._read(item, output=True) for item in arguments])

    def _dict(self, arguments: tuple[Any, ...], output: bool) -> Kind:
        if not arguments or any(isinstance(a, typing.TypeVar) for a in arguments):
            return DictOf(Anything() if output else None)
        key, _ = self.resolved(arguments[0])
        if key not in (str, Any) and not (
            output and isinstance(key, type) and issubclass(key, _KEYS)
        ):
            raise Unsupported(f"an object has strings as keys, not {show(key)}: use Dict[str, …]")
        value = self._read(arguments[1], output)
        if isinstance(value, Anything):
            return DictOf(Anything() if output else None)
        return DictOf(value)

    def _plain(self, found: Any, output: bool) -> Kind:
        if found is object and output:
            return Anything()
        if found is Any:
            return Anything() if output else Anything({"type": "object", "x-cog-any": True})
        if found is list or (found in (set, frozenset) and output):
            return ListOf(Anything(), unique=found is not list)
        if found is dict:
            return DictOf(Anything() if output else None)
        if found is tuple and output:
            return self._tuple(())
        if isinstance(found, tuple) and output:  # (str, int) is an annotation too
            return self._tuple(found)
        if found is type(None) and output:
            from cog.internal.contract.output_kinds import Nothing

            return Nothing()
        if not isinstance(found, type):
            raise Unsupported(self._no(found))
        return self._class(found, output)

    def _class(self, found: type, output: bool) -> Kind:
        if found in _SCALARS:
            kind: Kind = _SCALARS[found]()
            return kind
        # Local, because models of plain values do not need it, and with its own imports it takes a
        # tenth of a cold start.
        import pathlib

        from cog.types import File, Path, Secret, URLFile, URLPath

        if issubclass(found, enum.Enum):
            return self._enum(found)
        if issubclass(found, pathlib.PurePath) or found is os.PathLike:
            own = issubclass(found, type(pathlib.Path())) and not issubclass(found, URLPath)
            make: Any = found if own and found not in (pathlib.Path, type(pathlib.Path())) else Path
            return PathKind(make)
        if issubclass(found, (File, URLFile)):
            return FileKind()
        if issubclass(found, Secret) or found.__name__ in ("SecretStr", "SecretBytes"):
            return SecretKind(found)
        record = self._record(found, output)
        if record is not None:
            return record
        if output and found.__module__ in ("datetime", "uuid", "decimal"):
            return Number() if found.__name__ == "Decimal" else Text(_FORMATS.get(found.__name__))
        if output and found.__module__.split(".")[0] == "numpy":
            return Anything()
        raise Unsupported(self._no(found))

    def _no(self, found: Any) -> str:
        return f"the type {show(found)} is not supported: use one of {SUPPORTED}"

    # -- choices

    def _choices(self, values: tuple[Any, ...]) -> Kind:
        from cog.internal.contract.unions import Choice, OneOf

        members = {(type(v.value), v.value): v for v in values if isinstance(v, enum.Enum)}
        some = [v.value if isinstance(v, enum.Enum) else v for v in values if v is not None]
        bases = list(dict.fromkeys(type(v) for v in some))
        if not bases or any(base not in _SCALARS for base in bases):
            raise Unsupported(
                f"Literal{list(values)!r} must have strings, numbers or booleans as values,"
                " apart from None"
            )
        kinds = [_SCALARS[base]() for base in bases]
        base = kinds[0] if len(kinds) == 1 else OneOf(kinds)
        kind = Choice(some, base, lambda value: members.get((type(value), value), value))
        return Nullable(kind) if None in values else kind

    def _enum(self, found: Any) -> Kind:
        from cog.internal.contract.unions import Choice

        values = [member.value for member in found]
        if not issubclass(found, (str, int)) or not values:
            raise Unsupported(
                f"the Enum {found.__name__} must also extend str or int:"
                f" write class {found.__name__}(str, Enum)"
            )
        return Choice(
            values, Text() if issubclass(found, str) else Integer(), found, "An enumeration."
        )

    # -- records

    def _record(self, found: Any, output: bool) -> Kind | None:
        if found in self._reading:
            raise Unsupported(_endless(found))
        self._reading.append(found)
        try:
            return self._record_of(found, output)
        finally:
            self._reading.pop()

    def _record_of(self, found: Any, output: bool) -> Kind | None:
        if hasattr(found, "__cog_fields__"):
            return self._model(found, output)
        if is_pydantic(found):
            return self._pydantic(found, output)
        if hasattr(found, "__dataclass_fields__"):
            return self._dataclass(found, output)
        if hasattr(found, "__total__") and issubclass(found, dict):
            return self._typed_dict(found, output)
        if output and issubclass(found, tuple):
            return self._named_tuple(found)
        return None

    def _pydantic(self, found: Any, output: bool) -> Kind:
        # Local, because few models need it.
        from cog.internal.contract.pydantic_models import Pydantic, SchemaError

        try:
            return Pydantic(found, output)
        except SchemaError as error:
            raise Unsupported(str(error)) from None

    def _scope_of(self, owner: Any) -> dict[str, Any]:
        """Return the names that the annotations of a class may quote."""
        module = sys.modules.get(getattr(owner, "__module__", ""))
        return {**(vars(module) if module else {}), **self._scope}

    def _slot(
        self, owner: Any, name: str, annotation: Any, default: Any, shown: Any, output: bool
    ) -> Slot:
        reader = Reader(self._scope_of(owner))
        reader._reading = self._reading
        try:
            kind = reader._read(annotation, output)
        except Unsupported as error:
            raise Unsupported(f"field {name!r} of {owner.__name__}: {error}") from None
        return Slot(name, kind, default, shown)

    def _model(self, found: Any, output: bool) -> Kind:
        slots = []
        for name, field in found.__cog_fields__.items():
            default = field.fresh if field.has_default else None
            shown = field.fresh() if field.has_default else None
            slot = self._slot(found, name, field.annotation, default, shown, output)
            slots.append(_lenient(slot)._replace(description=field.description))
        return Record(found.__name__, slots, lambda fields: found(**fields), _docstring(found))

    def _dataclass(self, found: Any, output: bool) -> Kind:
        import dataclasses

        slots = []
        for field in dataclasses.fields(found):
            default: Any = None
            shown = None
            if field.default is not dataclasses.MISSING:
                default, shown = (lambda value=field.default: value), field.default
            elif field.default_factory is not dataclasses.MISSING:
                default, shown = field.default_factory, field.default_factory()
            slots.append(
                _lenient(self._slot(found, field.name, field.type, default, shown, output))
            )
        return Record(found.__name__, slots, lambda fields: found(**fields))

    def _typed_dict(self, found: Any, output: bool) -> Kind:
        required: frozenset[str] = getattr(found, "__required_keys__", frozenset())
        slots = []
        for name, annotation in raw(found).items():
            annotation, needed = _without_marks(annotation, self._scope_of(found), name in required)
            slots.append(
                self._slot(
                    found, name, annotation, None if needed else (lambda: None), None, output
                )
            )
        return _TypedDict(found.__name__, slots, lambda fields: fields)

    def _named_tuple(self, found: Any) -> Kind:
        """Return the kind of a NamedTuple, which JSON writes as a list without the names of its
        fields.
        """
        owner = next((base for base in found.__mro__ if "_fields" in vars(base)), None)
        if owner is None:
            return self._tuple(())
        annotations = raw(owner)  # empty for a collections.namedtuple
        return _fixed(
            [
                self._slot(owner, name, annotations.get(name, Any), None, None, True).kind
                for name in owner._fields
            ]
        )


def _endless(found: Any) -> str:
    return f"{found.__name__} contains itself, so it does not have a finite schema"


def _fixed(items: list[Kind]) -> Kind:
    from cog.internal.contract.output_kinds import TupleOf  # local, because few models need it

    return TupleOf(items)


def _lenient(slot: Slot) -> Slot:
    """Let a field accept None if that is its default."""
    by_default_none = slot.default is not None and slot.shown is None
    return slot._replace(kind=nullable(slot.kind)) if by_default_none else slot


def is_pydantic(found: Any) -> bool:
    """Whether a class is a model or a dataclass of pydantic, version 1 or 2."""
    if hasattr(found, "__dataclass_fields__"):
        return hasattr(found, "__pydantic_validator__") or hasattr(found, "__pydantic_model__")
    return hasattr(found, "model_fields") or hasattr(found, "__fields__")


def _is_opaque(said: tuple[Any, ...]) -> bool:
    from cog.types import Opaque

    return any(mark is Opaque or isinstance(mark, Opaque) for mark in said)


def _docstring(found: type) -> str | None:
    """Return the docstring of a class without its indentation, or None if its author has not
    written one.
    """
    text = vars(found).get("__doc__")
    # @dataclass writes the signature into a class without a docstring.
    if not isinstance(text, str) or text.startswith(f"{found.__name__}("):
        return None
    import inspect  # local, because few models have a docstring

    return inspect.cleandoc(text)


def _without_marks(annotation: Any, scope: Mapping[str, Any], required: bool) -> tuple[Any, bool]:
    """Return the type inside Required[...] and NotRequired[...], and whether the key must be
    present. The mark decides, else ``required``. It is read here, because the class does not know
    the mark in a postponed annotation.
    """
    try:
        found = resolve(annotation, scope)
    except Unresolved:
        return annotation, required  # reported when the type is read
    while (mark := getattr(typing.get_origin(found), "_name", "")) in (
        "Required",
        "NotRequired",
        "ReadOnly",
    ):
        required = required if mark == "ReadOnly" else mark == "Required"
        found = typing.get_args(found)[0]
    return found, required


class _TypedDict(Record):
    """A TypedDict. Keys that are absent stay absent."""

    def _build(self, value: Any, f: Any) -> Any:
        made = super()._build(value, f)
        return {name: item for name, item in made.items() if name in value}


def _is_failure(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseException)
