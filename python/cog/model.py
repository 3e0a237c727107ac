"""`BaseModel`, the base class of structured outputs and inputs. It has the methods that models use
of pydantic's base class.
"""

from __future__ import annotations

import builtins
import copy
import sys
from collections.abc import Iterator
from typing import Any, Callable, ClassVar

_MISSING = object()


class _Field:
    """One field: its name, its annotation as written, and its default."""

    __slots__ = ("annotation", "default", "description", "factory", "module", "name")

    def __init__(self, name: str, annotation: Any, default: Any, module: str) -> None:
        self.name = name
        self.annotation = annotation
        self.module = module
        self.default = default
        self.factory: Callable[[], Any] | None = None
        self.description: str | None = None
        # dataclasses.field().
        if type(default).__name__ == "Field" and hasattr(default, "default_factory"):
            factory = default.default_factory
            self.factory = factory if callable(factory) else None
            self.default = (
                _MISSING if type(default.default).__name__ == "_MISSING_TYPE" else default.default
            )
        # Input(), or pydantic's Field().
        elif type(default).__name__ == "FieldInfo" and hasattr(default, "default_factory"):
            self.factory = default.default_factory
            self.description = getattr(default, "description", None)
            self.default = _MISSING if _says_nothing(default.default) else default.default

    @property
    def has_default(self) -> bool:
        return self.default is not _MISSING or self.factory is not None

    def fresh(self) -> Any:
        """Return a new copy of the default, so that objects do not share it."""
        return self.factory() if self.factory is not None else copy.deepcopy(self.default)


class _OfDataclass:
    """Makes a model a dataclass for code that asks, such as ``dataclasses.asdict``. It waits until
    then, because importing ``dataclasses`` takes long. ``@dataclass`` replaces this attribute with
    its own.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, model: Any, owner: Any) -> Any:
        if not owner.__cog_auto__:
            raise AttributeError(self._name)
        return getattr(_twin(owner), self._name)


def _twin(owner: Any) -> Any:
    """Make a dataclass with the fields of a model."""
    import dataclasses

    fields = owner.__cog_fields__.values()
    shown = [(field.name, field.annotation, dataclasses.field(default=None)) for field in fields]
    twin: Any = dataclasses.make_dataclass(owner.__name__, shown, frozen=owner.__cog_frozen__)
    for field in fields:
        made = twin.__dataclass_fields__[field.name]
        made.default = dataclasses.MISSING if field.default is _MISSING else field.default
        made.default_factory = field.factory or dataclasses.MISSING
    return twin


class _Default:
    """The default of a field as an attribute of the class, where ``@dataclass`` looks for it.
    Objects do not have this attribute, because a field of an object may be missing.
    """

    def __init__(self, value: Any) -> None:
        self._value = value

    def __get__(self, model: Any, owner: Any) -> Any:
        if model is not None:
            raise AttributeError("this field is not set")
        return self._value


class _FieldsOfDataclass:
    """The fields of a class with ``auto_dataclass=False``: those that ``@dataclass`` finds, or
    those of its base class.
    """

    def __init__(self, inherited: builtins.dict[str, _Field]) -> None:
        self._inherited = inherited

    def __get__(self, model: Any, owner: Any) -> builtins.dict[str, _Field]:
        if not hasattr(owner, "__dataclass_fields__"):
            return self._inherited
        import dataclasses

        return {
            f.name: _Field(f.name, f.type, f, owner.__module__) for f in dataclasses.fields(owner)
        }


def _says_nothing(default: Any) -> bool:
    """Whether a value stands for "no default" in our Input or in the Field of pydantic 1 or 2."""
    return default is ... or type(default).__name__ in (
        "_Unset",
        "PydanticUndefinedType",
        "UndefinedType",
    )


class BaseModel:
    """An object with typed fields::

        class Output(BaseModel):
            score: float
            label: Optional[str]

    Pass fields by keyword, or in order. Unknown keywords are ignored. A value is converted to the
    type of its field where that loses nothing: ``2.0`` and ``"2"`` become 2 in a field of type int.
    An Optional field may be left out, and is None then. ``dict()`` and ``model_dump()`` return the
    contents as a dict, ``json()`` as JSON text.

    Raises TypeError for a field that is missing, and ValueError for a value that does not match its
    field.
    """

    __cog_fields__: ClassVar[builtins.dict[str, _Field]] = {}
    __cog_frozen__: ClassVar[bool] = False
    __cog_auto__: ClassVar[bool] = False
    __dataclass_fields__ = _OfDataclass("__dataclass_fields__")
    __dataclass_params__ = _OfDataclass("__dataclass_params__")

    def __init_subclass__(
        cls, auto_dataclass: bool = True, init: bool = True, frozen: bool = False, **options: Any
    ) -> None:
        super().__init_subclass__()
        for base in cls.__mro__[1:]:
            if "__dataclass_fields__" in vars(base) and not issubclass(base, BaseModel):
                raise TypeError(
                    f"{cls.__name__} mixes the dataclass {base.__name__} into a BaseModel:"
                    " make it a BaseModel too"
                )
        cls.__cog_frozen__ = frozen or cls.__cog_frozen__
        cls.__cog_auto__ = auto_dataclass
        if not auto_dataclass:
            cls.__cog_fields__ = _FieldsOfDataclass(cls.__cog_fields__)  # type: ignore[assignment]
            return
        cls.__cog_fields__ = {**cls.__cog_fields__, **dict(_own_fields(cls))}
        made = [
            vars(b)["__dataclass_params__"]
            for b in cls.__mro__
            if b is not BaseModel and "__dataclass_params__" in vars(b)
        ]
        if made and "__dataclass_params__" not in vars(cls):  # a subclass of a dataclass is one too
            sys.modules["dataclasses"].dataclass(init=init, frozen=frozen or made[0].frozen)(cls)

    def __init__(self, *values: Any, **fields: Any) -> None:
        names = list(self.__cog_fields__)
        if len(values) > len(names):
            raise TypeError(
                f"{type(self).__name__} has {len(names)} fields, but got {len(values)} values"
            )
        given = {**dict(zip(names, values)), **fields}
        kinds = _kinds(type(self))
        for name, field in self.__cog_fields__.items():
            if name in given:
                value = _fit(type(self), name, kinds.get(name), given[name])
            elif field.has_default:
                value = field.fresh()
            elif _optional(kinds.get(name)):
                value = None
            else:
                raise TypeError(f"{type(self).__name__} needs the field {name!r}")
            object.__setattr__(self, name, value)
        after = getattr(self, "__post_init__", None)  # as in a dataclass
        if after is not None:
            after()

    def __setattr__(self, name: str, value: Any) -> None:
        if self.__cog_frozen__:
            raise AttributeError(f"{type(self).__name__} is frozen: {name!r} cannot be set")
        object.__setattr__(self, name, value)

    def _items(self) -> Iterator[tuple[str, Any]]:
        return ((name, getattr(self, name)) for name in self.__cog_fields__ if hasattr(self, name))

    def model_dump(self, **_: Any) -> builtins.dict[str, Any]:
        """Return the fields as a dict, with nested models as dicts."""
        return {name: _plain(value) for name, value in self._items()}

    dict = model_dump

    def model_dump_json(self, **_: Any) -> str:
        """Return the fields as JSON text."""
        import json

        return json.dumps(self.model_dump(), default=str)

    json = model_dump_json

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._items())
        return f"{type(self).__name__}({fields})"

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return list(self._items()) == list(other._items())

    def __hash__(self) -> int:
        if not self.__cog_frozen__:
            raise TypeError(f"unhashable type: {type(self).__name__!r}")
        return hash(tuple(self._items()))


def _own_fields(cls: type) -> Iterator[tuple[str, _Field]]:
    from cog.internal.contract.annotations import raw

    # Not empty for a class that @dataclass(slots=True) has made, as a copy of the author's.
    made = vars(cls).get("__dataclass_fields__", {})
    for name, annotation in raw(cls).items():
        if name.startswith("_") or any(mark in str(annotation) for mark in ("ClassVar", "InitVar")):
            continue  # not a field, as with pydantic
        default = made[name] if name in made else vars(cls).get(name, _MISSING)
        yield name, _Field(name, annotation, default, cls.__module__)
        if name in vars(cls) and name not in made:
            setattr(cls, name, _Default(default))


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _kinds(cls: Any) -> dict[str, Any]:
    """Return the types of the fields. They are read when the first object is made, because by then
    every name in the annotations exists.
    """
    known: dict[str, Any] | None = vars(cls).get("__cog_kinds__")
    if known is None:
        from cog.internal.contract.containers import nullable
        from cog.internal.contract.type_reader import Reader, Unsupported

        known = {}
        for name, field in cls.__cog_fields__.items():
            scope = vars(sys.modules[field.module]) if field.module in sys.modules else {}
            try:
                kind = Reader(scope).output(field.annotation)
                known[name] = nullable(kind) if field.default is None else kind
            except Unsupported:
                known[name] = None  # the loader reports it, if the model uses the class
        cls.__cog_kinds__ = known
    return known


def _optional(kind: Any) -> bool:
    from cog.internal.contract.containers import Nullable

    return isinstance(kind, Nullable)


def _fit(cls: type, name: str, kind: Any, value: Any) -> Any:
    from cog.internal.contract.kinds import Mismatch

    if kind is None:
        return value
    try:
        return kind.check(value)
    except Mismatch as error:
        raise ValueError(f"{cls.__name__}.{name}{error.where}: {error.text}") from None
