"""Models that record metrics: each step of the input is one call."""

import asyncio
from typing import Any

from cog import BasePredictor, current_scope, emit_metric


def run_steps(steps: list[Any]) -> list[Any]:
    """Record each step; return what it raised, or None."""
    said = []
    for step in steps:
        try:
            current_scope().metrics.record(*step)
            said.append(None)
        except (TypeError, ValueError) as error:
            said.append(f"{type(error).__name__}: {error}")
    return said


def records(steps: Any) -> Any:
    return run_steps(steps)


async def async_records(steps: Any) -> Any:
    await asyncio.sleep(0)
    return run_steps(steps)


def mapping(steps: Any) -> Any:
    metrics = current_scope().metrics
    metrics["a"] = 1
    metrics["b.c"] = 2
    metrics["gone"] = 3
    del metrics["gone"]
    metrics.delete("never_there")
    try:
        del metrics["never_there"]
    except KeyError:
        return [dict(metrics), len(metrics), metrics["b.c"], "b.c" in metrics, metrics.get("x")]


def fails(steps: Any) -> Any:
    run_steps(steps)
    raise ValueError("after recording")


class Spellings(BasePredictor):
    def setup(self) -> None:
        current_scope().metrics.record("setup", 1)
        self.record_metric("setup", 2)
        emit_metric("setup", 3)

    def predict(self, steps: Any) -> Any:
        self.record_metric("a", 1)
        self.scope.record_metric("b", 2.5)
        emit_metric("c", 3)
        current_scope().record_metric("c", 4, "incr")
        current_scope().metrics.record("c", 5, mode="increment")
        return None


class Scalar:
    """Has the interface of a number of numpy."""

    def item(self) -> float:
        return 1.5


def scalars(steps: Any) -> Any:
    current_scope().metrics.record("x", Scalar())
    return None
