"""`Input`, by which a model describes one of its inputs."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Callable, NoReturn


class _Module(ModuleType):
    """The type of this module, which models of 2021 call: ``@cog.input("name", type=str)``."""

    def __call__(self, *arguments: Any, **named: Any) -> NoReturn:
        from cog.internal.contract.remedies import replaced

        raise TypeError(replaced("@cog.input"))


sys.modules[__name__].__class__ = _Module


class _Unset:
    """Marks an input without a default, because None is a default."""

    def __repr__(self) -> str:
        return "unset"

    def __copy__(self) -> _Unset:
        return self

    def __deepcopy__(self, memo: Any) -> _Unset:
        return self

    def __bool__(self) -> bool:
        return False


UNSET = _Unset()


class _DataclassFields:
    """Makes `FieldInfo` a dataclass for code that asks for its fields. It waits until then, because
    importing ``dataclasses`` takes long.
    """

    def __get__(self, info: Any, owner: Any) -> Any:
        import dataclasses

        fields = [(name, Any, dataclasses.field(default=None)) for name in owner.__slots__]
        made: Any = dataclasses.make_dataclass(owner.__name__, fields, frozen=True)
        return made.__dataclass_fields__


class FieldInfo:
    """The arguments of `Input`, unchanged. Raises TypeError for an unknown argument."""

    __dataclass_fields__ = _DataclassFields()

    __slots__ = (  # noqa: RUF023 - in the order of the arguments
        "default",
        "default_factory",
        "description",
        "ge",
        "le",
        "min_length",
        "max_length",
        "regex",
        "choices",
        "deprecated",
        "accept",
    )

    default: Any
    default_factory: Callable[[], Any] | None
    description: str | None
    ge: int | float | None
    le: int | float | None
    min_length: int | None
    max_length: int | None
    regex: str | None
    choices: list[str | int] | None
    deprecated: bool | None
    accept: str | None

    def __init__(self, default: Any = None, **arguments: Any) -> None:
        unknown = sorted(set(arguments) - set(self.__slots__))
        if unknown:
            raise TypeError(f"FieldInfo() got an unexpected keyword argument {unknown[0]!r}")
        object.__setattr__(self, "default", default)
        for name in self.__slots__[1:]:
            object.__setattr__(self, name, arguments.get(name))

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("the result of Input() cannot be changed")

    def __eq__(self, other: object) -> bool:
        if type(other) is not FieldInfo:
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.__slots__)

    def __hash__(self) -> int:
        return hash(tuple(getattr(self, name) for name in self.__slots__))

    def __repr__(self) -> str:
        told = ", ".join(
            f"{n}={getattr(self, n)!r}"
            for n in self.__slots__
            if getattr(self, n) not in (None, UNSET)
        )
        return f"Input({told})"


def Input(
    default: Any = UNSET,
    description: str | None = None,
    ge: int | float | None = None,
    le: int | float | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    regex: str | None = None,
    choices: list[Any] | None = None,
    deprecated: bool | None = None,
    *,
    default_factory: Callable[[], Any] | None = None,
    accept: str | None = None,
) -> Any:
    """Describe an input of ``predict``.

    - An input without ``default`` and ``default_factory`` is required.
    - ``ge`` and ``le`` are the least and the greatest number.
    - ``min_length`` and ``max_length`` count the characters of a string or the items of a list.
    - ``regex`` must match somewhere in a string.
    - ``choices`` are the only values allowed.
    - ``accept`` tells a form which files to offer, as in HTML.

    The arguments are checked when the model is loaded.
    """
    if default is ...:
        default = UNSET
    return FieldInfo(
        default=default,
        default_factory=default_factory,
        description=description,
        ge=ge,
        le=le,
        min_length=min_length,
        max_length=max_length,
        regex=regex,
        choices=choices,
        deprecated=deprecated,
        accept=accept,
    )
