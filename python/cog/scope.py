"""What user code can ask and tell while it runs: its context and its metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from typing import Any, Callable

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import json, re

_segment = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*").fullmatch

_encode = json.JSONEncoder(allow_nan=False).encode

_MAX_NAME = 128
_MAX_SEGMENTS = 4
_MODES = {"replace": "replace", "incr": "increment", "increment": "increment", "append": "append"}

#: Called with each recording: name, value, mode, top-level key, and the value of that key
#: afterwards (empty when gone).
Listener = Callable[[str, Any, str, str, tuple[Any, ...]], None]


def _kind(value: Any) -> str:
    """What a metric is, as far as it must stay that: int and float are both numbers."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    for kind in (str, list, dict):
        if isinstance(value, kind):
            return kind.__name__
    return type(value).__name__


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name or len(name) > _MAX_NAME:
        raise ValueError(
            f"metric name {name!r:.200}: it must be a string of 1 to {_MAX_NAME} characters"
        )
    if name == "predict_time" or name.startswith("cog."):
        raise ValueError(
            f"metric name {name!r}: predict_time and cog.* belong to the runtime, choose another name"
        )
    segments = name.split(".")
    if len(segments) > _MAX_SEGMENTS or not all(map(_segment, segments)):
        raise ValueError(
            f"metric name {name!r}: it must be 1 to {_MAX_SEGMENTS} parts joined by dots, each of letters, digits and single "
            "underscores, with a letter first and no underscore last"
        )


def _plain(name: str, value: Any) -> Any:
    """The value as JSON has it; numpy and torch scalars become numbers."""
    if not isinstance(value, (str, int, float, list, dict)) and hasattr(value, "item"):
        value = value.item()
    try:
        _encode(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"metric {name!r}: {error}") from None
    return value


class Metrics(MutableMapping[str, Any]):
    """The metrics of one prediction, by their dotted names."""

    def __init__(self, listener: Listener | None = None) -> None:
        self._values: dict[str, Any] = {}
        self._listener = listener

    def record(self, name: str, value: Any, mode: str = "replace") -> None:
        """Record a metric.

        ``mode`` is ``replace``, ``increment`` or ``incr`` (add a number), or ``append`` (to a
        list). A metric keeps its type until it is deleted; None deletes it. Raises ValueError or
        TypeError, naming the metric.
        """
        _check_name(name)
        if mode not in _MODES:
            raise ValueError(f"metric {name!r}: mode {mode!r} must be replace, increment or append")
        mode = _MODES[mode]
        if value is None:
            self._values.pop(name, None)
        else:
            self._check_place(name)
            value = _plain(name, value)
            self._values[name] = self._combine(name, value, mode)
        self._tell(name, value, mode)

    def _check_place(self, name: str) -> None:
        """Refuse a name that is both a value and an object of others."""
        for other in self._values:
            if other.startswith(name + ".") or name.startswith(other + "."):
                raise ValueError(
                    f"metric {name!r}: {other!r} is there already, and one cannot hold the other"
                )

    def _combine(self, name: str, value: Any, mode: str) -> Any:
        old = self._values.get(name)
        if mode == "append":
            if old is not None and not isinstance(old, list):
                raise TypeError(f"metric {name!r}: cannot append, it is a {_kind(old)}")
            return [*(old or []), value]
        if mode == "increment":
            if _kind(value) != "number" or (old is not None and _kind(old) != "number"):
                raise TypeError(
                    f"metric {name!r}: increment needs numbers, not {_kind(value)} on {_kind(old)}"
                )
            return (old or 0) + value
        if old is not None and _kind(old) != _kind(value):
            raise TypeError(
                f"metric {name!r}: it is a {_kind(old)}, so it cannot become a {_kind(value)}; delete it first"
            )
        return value

    def _tell(self, name: str, value: Any, mode: str) -> None:
        if self._listener is None:
            return
        key = name.split(".", 1)[0]
        whole = self.nested()
        self._listener(name, value, mode, key, (whole[key],) if key in whole else ())

    def nested(self) -> dict[str, Any]:
        """The metrics as an object, with dotted names as objects in it."""
        out: dict[str, Any] = {}
        for name, value in self._values.items():
            place = out
            *parents, last = name.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        return out

    def delete(self, name: str) -> None:
        """Remove a metric; one that is not there is no error."""
        self.record(name, None)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.record(name, value)

    def __delitem__(self, name: str) -> None:
        if name not in self._values:
            raise KeyError(name)
        self.delete(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class Scope:
    """The surroundings of one run.

    ``context`` is what the request sent along, a copy. ``metrics`` shows up in the prediction.
    ``traceparent`` and ``tracestate`` continue the trace that the request belongs to (W3C Trace
    Context); None without one.
    """

    def __init__(
        self,
        context: Mapping[str, str] | None = None,
        listener: Listener | None = None,
        traceparent: str | None = None,
        tracestate: str | None = None,
    ) -> None:
        self.context: dict[str, str] = dict(context or {})
        self.metrics = Metrics(listener)
        self.traceparent = traceparent
        self.tracestate = tracestate
        self._members: list[Scope] | None = None  # None: only this one

    @property
    def members(self) -> list[Scope]:
        """The scopes of the predictions that the running call answers, in the order of its lists:
        more than this one only with ``@cog.batch``.
        """
        return [self] if self._members is None else self._members

    @members.setter
    def members(self, members: list[Scope]) -> None:
        self._members = members

    def record_metric(self, name: str, value: Any, mode: str = "replace") -> None:
        """Record a metric, see `Metrics.record`."""
        self.metrics.record(name, value, mode)


class _NoMetrics(Metrics):
    """Outside a run nothing is recorded."""

    def record(self, name: str, value: Any, mode: str = "replace") -> None:
        pass


class _NoScope(Scope):
    def __init__(self) -> None:
        super().__init__()
        self.metrics = _NoMetrics()


current: ContextVar[Scope | None] = ContextVar("cog_scope", default=None)


def current_scope() -> Scope:
    """The scope of the running prediction; outside one, a scope that does nothing.

    A thread sees it when it is started with ``contextvars.copy_context().run``.
    """
    return current.get() or _NoScope()


def emit_metric(name: str, value: Any) -> None:
    """Record a metric, in the spelling of an earlier release."""
    current_scope().record_metric(name, value)


__all__: list[str] = ["Metrics", "Scope", "current_scope", "emit_metric"]
