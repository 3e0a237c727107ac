"""Decorators of a model's methods, and the functions that load a model by its reference."""

from __future__ import annotations

from typing import Any, Callable, TypeVar, overload

from cog.base_predictor import BasePredictor as BasePredictor
from cog.base_predictor import BaseRunner as BaseRunner

_F = TypeVar("_F", bound=Callable[..., Any])


@overload
def streaming(function: _F) -> _F: ...


@overload
def streaming() -> Callable[[_F], _F]: ...


def streaming(function: Any = None) -> Any:
    """Let clients read the output of an iterator as server-sent events, item by item.
    ``@streaming`` and ``@streaming()`` are the same.
    """

    def mark(function: _F) -> _F:
        function.__cog_streaming__ = True  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


@overload
def concurrent(function: _F) -> _F: ...


@overload
def concurrent(function: int | None = None, *, max: int = 1) -> Callable[[_F], _F]: ...  # noqa: A002


def concurrent(function: Any = None, *, max: Any = 1) -> Any:  # noqa: A002 - the field's name for it
    """Say how many predictions an ``async def`` can run at once: one without ``max``."""
    if function is not None and not callable(function):
        function, max = None, function  # noqa: A001 - as in @concurrent(8)
    if isinstance(max, bool) or not isinstance(max, int) or max < 1:
        raise ValueError(f"@concurrent(max={max!r}): max must be an integer of at least 1")

    def mark(function: _F) -> _F:
        function.__cog_concurrent__ = max  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


def load_predictor_from_ref(ref: str) -> Any:
    """Import the predictor of a reference such as ``predict.py:Predictor`` and return an instance
    or the function.
    """
    from cog.internal.contract.loader import import_target

    target = import_target(ref)
    return target() if isinstance(target, type) else target


def has_setup_weights(predictor: BaseRunner) -> bool:
    """Whether the ``setup()`` of a predictor takes ``weights``."""
    from cog.internal.contract.loader import takes_weights

    setup = getattr(predictor, "setup", None)
    return setup is not None and takes_weights(setup)


def extract_setup_weights(predictor: BaseRunner) -> Any:
    """The ``weights`` that the server gives to ``setup()`` of a predictor. None if the server has
    none, or if ``setup()`` does not take them.
    """
    from cog.internal.contract.loader import weights_of

    setup = getattr(predictor, "setup", None)
    return None if setup is None else weights_of(setup).get("weights")
