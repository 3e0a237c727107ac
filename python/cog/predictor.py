"""What a model derives from, and how it says what it can do."""

from __future__ import annotations

from typing import Any, Callable, TypeVar, overload

_F = TypeVar("_F", bound=Callable[..., Any])

#: The methods whose parameters are inputs.
METHODS = ("predict", "run", "train")


class _ScopeOf:
    """The scope of the running prediction. No property: a model may have an attribute of that
    name.
    """

    def __get__(self, model: Any, owner: Any) -> Any:
        from cog.scope import current_scope

        return current_scope()


class BaseRunner:
    """Base of a model with ``run()``."""

    scope = _ScopeOf()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if any(has_own(cls, name) for name in METHODS):
            from cog.internal.contract.direct import complete

            complete(cls)

    def setup(self, weights: Any | None = None) -> Any:
        """Prepare the model once, before the first prediction."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Run the ``predict`` of a model that has no ``run``. Raises NotImplementedError where it
        has neither.
        """
        return _other(self, "predict")(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Run the ``run`` of a model that has no ``predict``. Raises NotImplementedError where it
        has neither.
        """
        return _other(self, "run")(*args, **kwargs)

    def record_metric(self, name: str, value: Any, mode: str = "replace") -> None:
        """Record a metric of the running prediction."""
        self.scope.record_metric(name, value, mode)


def _other(model: BaseRunner, name: str) -> Callable[..., Any]:
    """The method of a model that its author has written under the other name."""
    found = getattr(model, name)
    if getattr(found, "__func__", None) is vars(BaseRunner)[name]:
        raise NotImplementedError(f"{type(model).__name__} has neither run nor predict")
    method: Callable[..., Any] = found
    return method


def has_own(model: type, name: str) -> bool:
    """Whether the author of a class has written its ``predict``, ``run`` or ``train``."""
    found = getattr(model, name, None)
    return found is not None and found is not getattr(BaseRunner, name, None)


class BasePredictor(BaseRunner):
    """Base of a model with ``predict()``::

    class Predictor(BasePredictor):
        def predict(self, name: str) -> str:
            return "hello " + name
    """


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
        raise ValueError(f"@concurrent(max={max!r}): max must be a whole number of at least 1")

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
    """The ``weights`` that the server gives to ``setup()`` of a predictor; None when there are none
    or it takes none.
    """
    from cog.internal.contract.loader import weights_of

    setup = getattr(predictor, "setup", None)
    return None if setup is None else weights_of(setup).get("weights")
