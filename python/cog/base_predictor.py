"""The base classes of models: `BasePredictor` and `BaseRunner`."""

from __future__ import annotations

from typing import Any, Callable

#: The methods whose parameters are inputs.
METHODS = ("predict", "run", "train")


class _ScopeOf:
    """Returns the scope of the running prediction. It is not a property, because a model may set an
    attribute of that name.
    """

    def __get__(self, model: Any, owner: Any) -> Any:
        from cog.scope import current_scope

        return current_scope()


class BaseRunner:
    """The base class of a model with ``run()``."""

    scope = _ScopeOf()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if any(has_own(cls, name) for name in METHODS):
            from cog.internal.contract.direct import complete

            complete(cls)

    def setup(self, weights: Any | None = None) -> Any:
        """Prepare the model. Called once, before the first prediction."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Call the ``predict`` of a model that does not have a ``run``. Raises NotImplementedError
        if it has neither.
        """
        return _other(self, "predict")(*args, **kwargs)

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Call the ``run`` of a model that does not have a ``predict``. Raises NotImplementedError
        if it has neither.
        """
        return _other(self, "run")(*args, **kwargs)

    def record_metric(self, name: str, value: Any, mode: str = "replace") -> None:
        """Record a metric of the running prediction, see `cog.scope.Metrics.record`. Raises
        ValueError or TypeError.
        """
        self.scope.record_metric(name, value, mode)


def _other(model: BaseRunner, name: str) -> Callable[..., Any]:
    """Return the method that the author of a model has written under the other name."""
    found = getattr(model, name)
    if getattr(found, "__func__", None) is vars(BaseRunner)[name]:
        raise NotImplementedError(f"{type(model).__name__} has neither run nor predict")
    method: Callable[..., Any] = found
    return method


def has_own(model: type, name: str) -> bool:
    """Whether a class has its own ``predict``, ``run`` or ``train``, and not that of
    `BaseRunner`.
    """
    found = getattr(model, name, None)
    return found is not None and found is not getattr(BaseRunner, name, None)


class BasePredictor(BaseRunner):
    """The base class of a model with ``predict()``::

    class Predictor(BasePredictor):
        def predict(self, name: str) -> str:
            return "hello " + name
    """
