"""The scope of a prediction, by which its code reads its context and records metrics."""

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

#: Called for each recording with the name, the value, the mode, the top-level key, and the value of
#: that key after it. The last is a tuple, which is empty if the key was deleted.
Listener = Callable[[str, Any, str, str, tuple[Any, ...]], None]


def _kind(value: Any) -> str:
    """Return the type that a metric must keep. Both int and float are numbers."""
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
            f"metric name {name!r}: predict_time and cog.* belong to the runtime,"
            " choose another name"
        )
    segments = name.split(".")
    if len(segments) > _MAX_SEGMENTS or not all(map(_segment, segments)):
        raise ValueError(
            f"metric name {name!r}: it must be 1 to {_MAX_SEGMENTS} parts joined by dots, each of"
            " letters, digits and single underscores, with a letter first and no underscore last"
        )


def _plain(name: str, value: Any) -> Any:
    """Return the value for JSON. A scalar of numpy or torch becomes a number. Raises TypeError for
    a value that JSON cannot express.
    """
    if not isinstance(value, (str, int, float, list, dict)) and hasattr(value, "item"):
        value = value.item()
    try:
        _encode(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"metric {name!r}: {error}") from None
    return value


class Metrics(MutableMapping[str, Any]):
    """The metrics of one prediction, by their dotted names. Setting one records it, see
    `record`.
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self._values: dict[str, Any] = {}
        self._listener = listener

    def record(self, name: str, value: Any, mode: str = "replace") -> None:
        """Record a metric.

        ``mode`` is one of:

        - ``replace``
        - ``increment`` or ``incr``, which adds a number
        - ``append``, which appends to a list

        A metric keeps its type until it is deleted; the value None deletes it. Raises ValueError
        for a wrong name or mode, and TypeError for a wrong type. Their text names the metric.
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
        """Refuse a name that would be both a value and an object of other metrics."""
        for other in self._values:
            if other.startswith(name + ".") or name.startswith(other + "."):
                raise ValueError(
                    f"metric {name!r}: {other!r} exists already, and one cannot contain the other"
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
                f"metric {name!r}: it is a {_kind(old)}, so it cannot become a {_kind(value)};"
                " delete it first"
            )
        return value

    def _tell(self, name: str, value: Any, mode: str) -> None:
        if self._listener is None:
            return
        key = name.split(".", 1)[0]
        whole = self.nested()
        self._listener(name, value, mode, key, (whole[key],) if key in whole else ())

    def nested(self) -> dict[str, Any]:
        """Return the metrics as nested dicts, with a dict for each part of a dotted name but the
        last.
        """
        out: dict[str, Any] = {}
        for name, value in self._values.items():
            place = out
            *parents, last = name.split(".")
            for parent in parents:
                place = place.setdefault(parent, {})
            place[last] = value
        return out

    def delete(self, name: str) -> None:
        """Remove a metric. Does nothing if there is no such metric."""
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
    """The scope of one prediction.

    - ``context`` is a copy of the strings that the client has sent as ``context``.
    - ``metrics`` are part of the prediction that clients get.
    - ``traceparent`` and ``tracestate`` continue the trace that the request belongs to (W3C Trace
      Context). They are None without a trace.
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
        self._members: list[Scope] | None = None  # None stands for this scope alone

    @property
    def members(self) -> list[Scope]:
        """The scopes of the predictions that the running call answers, in the order of its lists.
        There is more than one only with ``@cog.batch``.
        """
        return [self] if self._members is None else self._members

    @members.setter
    def members(self, members: list[Scope]) -> None:
        self._members = members

    def record_metric(self, name: str, value: Any, mode: str = "replace") -> None:
        """Record a metric, see `Metrics.record`."""
        self.metrics.record(name, value, mode)


class _NoMetrics(Metrics):
    """Records nothing, because no prediction runs."""

    def record(self, name: str, value: Any, mode: str = "replace") -> None:
        pass


class _NoScope(Scope):
    def __init__(self) -> None:
        super().__init__()
        self.metrics = _NoMetrics()


current: ContextVar[Scope | None] = ContextVar("cog_scope", default=None)


def current_scope() -> Scope:
    """Return the scope of the running prediction. If none runs, return a scope that records
    nothing.

    A thread has the scope of the prediction that starts it.
    """
    return current.get() or _NoScope()


def emit_metric(name: str, value: Any) -> None:
    """Record a metric, under the name that an earlier release of Cog had for it."""
    current_scope().record_metric(name, value)


__all__: list[str] = ["Metrics", "Scope", "current_scope", "emit_metric"]
