"""What a call for several predictions takes and gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cog.errors import OutputError
from cog.scope import Metrics, Scope


def columns(arguments: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """The arguments of one call: a list for each input, with one value for each prediction."""
    return {name: [one[name] for one in arguments] for name in arguments[0]}


def results(value: Any, count: int) -> list[Any]:
    """What the call gave, one for each prediction; raises OutputError."""
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
        kind = type(value).__name__
        raise OutputError(f"with @batch a list with one result for each prediction is returned, not {kind}")
    found = list(value)
    if len(found) != count:
        raise OutputError(
            f"a batch of {count} got {len(found)} results: return one for each prediction, in the order of the inputs"
        )
    return found


class BatchScope(Scope):
    """The surroundings of a call for several predictions: what is recorded here is recorded for each of them."""

    def __init__(self, members: list[Scope]) -> None:
        super().__init__()
        self.members = members
        self.metrics = _EachMetrics(members)
        for member in members:
            member.members = members


class _EachMetrics(Metrics):
    def __init__(self, members: list[Scope]) -> None:
        super().__init__()
        self._members = members

    def record(self, name: str, value: Any, mode: str = "replace") -> None:
        super().record(name, value, mode)
        for member in self._members:
            member.metrics.record(name, value, mode)
