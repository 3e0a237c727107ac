"""Decorators for a model's methods, and functions that load a model by its reference."""

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
    """Let clients read each item of an iterator as a server-sent event. ``@streaming`` and
    ``@streaming()`` mean the same.
    """

    def mark(function: _F) -> _F:
        function.__cog_streaming__ = True  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


@overload
def concurrent(function: _F) -> _F: ...


@overload
def concurrent(function: int | None = None, *, max: int = 1) -> Callable[[_F], _F]: ...


def concurrent(function: Any = None, *, max: Any = 1) -> Any:
    """Set how many predictions an ``async def`` can run at once; without ``max``, one.

    Raises ValueError if ``max`` is not an integer of at least 1.
    """
    if function is not None and not callable(function):
        function, max = None, function  # as in @concurrent(8)
    if isinstance(max, bool) or not isinstance(max, int) or max < 1:
        raise ValueError(f"@concurrent(max={max!r}): max must be an integer of at least 1")

    def mark(function: _F) -> _F:
        function.__cog_concurrent__ = max  # type: ignore[attr-defined]
        return function

    return mark if function is None else mark(function)


def load_predictor_from_ref(ref: str) -> Any:
    """Import the predictor of a reference such as ``predict.py:Predictor``. Returns an instance of
    the class, or the function. Raises LoadError if there is not one.
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
    """Return the ``weights`` that the server passes to ``setup()`` of a predictor. None if the
    server does not have weights, or if ``setup()`` does not take them.
    """
    from cog.internal.contract.loader import weights_of

    setup = getattr(predictor, "setup", None)
    return None if setup is None else weights_of(setup).get("weights")
