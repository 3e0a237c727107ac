"""Fills in defaults when the author's own code calls ``predict``: in ``setup``, to warm the model
up, and in tests.

An input that the call leaves out gets its default, as in a request. Python alone would pass the
result of `Input`.
"""

from __future__ import annotations

import functools
import sys
from types import FunctionType, MethodType
from typing import Any, Callable

from cog.base_predictor import METHODS
from cog.errors import LoadError
from cog.input import FieldInfo
from cog.internal.contract.fields import Field
from cog.internal.contract.signature import (
    MethodReader,
    batching,
    innermost,
    raw_attribute,
    signature,
)
from cog.internal.pristine import builtins as __builtins__  # noqa: F401


def complete(owner: type) -> None:
    """Let the methods of a class fill in the defaults of inputs that a call leaves out."""
    for name in METHODS:
        raw = raw_attribute(owner, name)
        static = isinstance(raw, staticmethod)
        function = raw.__func__ if isinstance(raw, staticmethod) else raw
        if not isinstance(function, FunctionType) or _is_completed(function):
            continue
        call = _completed(owner, name, function, bound=not static)
        if call is not None:
            setattr(owner, name, staticmethod(call) if static else call)


def as_written(method: Any) -> Any:
    """Return a method of an object as its author has written it, for calls with all arguments."""
    function = getattr(method, "__func__", method)
    if not _is_completed(function):
        return method
    written = function.__wrapped__
    return MethodType(written, method.__self__) if isinstance(method, MethodType) else written


def _is_completed(function: Any) -> bool:
    # Compared with itself, because decorators copy the attributes of the function that they wrap.
    return (
        isinstance(function, FunctionType) and vars(function).get("__cog_completed__") is function
    )


def _completed(
    owner: type, name: str, function: FunctionType, bound: bool
) -> Callable[..., Any] | None:
    """Return the function with its defaults filled in, or None if no parameter has an `Input`."""
    inner = innermost(function, name)
    if not isinstance(inner, FunctionType):
        return None
    parameters = signature(inner).parameters
    names = [parameter.name for parameter in parameters]
    inputs = frozenset(p.name for p in parameters if isinstance(p.default, FieldInfo))
    if not inputs:
        return None
    batched = batching(function, name) is not None
    known: dict[str, Field] = {}

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        missing = inputs.difference(kwargs, names[: len(args)])
        if missing:
            # Not when the class is made, because its annotations may name later classes.
            if not known:
                known.update(_fields(owner, name, function, bound))
            given = [*args[bound:], *kwargs.values()]
            for parameter in missing:
                kwargs[parameter] = _default(name, known[parameter], given if batched else None)
        return function(*args, **kwargs)

    call.__cog_completed__ = call  # type: ignore[attr-defined]
    return call


def _fields(owner: type, name: str, function: FunctionType, bound: bool) -> dict[str, Field]:
    module = sys.modules.get(owner.__module__)
    reader = MethodReader(
        name, function, owner if bound else None, vars(module) if module is not None else {}
    )
    method = reader.read()
    if method is None:
        raise LoadError([f"{parameter or name}: {text}" for parameter, text in reader.problems])
    return {field.name: field for field in method.fields}


def _default(name: str, field: Field, columns: list[Any] | None) -> Any:
    """Return the default for one prediction. With ``columns``, the other arguments of a batch,
    return a list with one for each of its predictions. Raises TypeError if the input is required.
    """
    absent = field.absent
    if absent is None:
        raise TypeError(f"{name}() missing 1 required argument: {field.name!r}")
    if columns is None:
        return absent.get()
    size = max((len(column) for column in columns if isinstance(column, list)), default=1)
    return [absent.get() for _ in range(size)]
