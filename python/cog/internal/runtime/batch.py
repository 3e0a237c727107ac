"""The arguments, results, logs and scope of one call for several predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cog.errors import BatchError, CancelationException, OutputError
from cog.internal.contract.exception_text import is_a, trace
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os
from cog.internal.runtime.logs import Log
from cog.scope import Metrics, Scope

_name_of = type.__dict__["__name__"].__get__


class _WrongResults(OutputError):
    pass


def columns(arguments: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return the arguments of one call: a list for each input, with one value for each
    prediction.
    """
    return {name: [one[name] for one in arguments] for name in arguments[0]}


def results(value: Any, count: int) -> list[Any]:
    """Return the results of the call as a list, one for each prediction. Raises OutputError, which
    tells the author what is wrong, so it needs no traceback.
    """
    if isinstance(value, (str, bytes, Mapping)) or not hasattr(value, "__iter__"):
        kind = type(value).__name__
        raise _WrongResults(
            f"with @batch, return a list with one result for each prediction, not {kind}"
        )
    found = list(value)
    if len(found) != count:
        raise _WrongResults(
            f"a batch of {count} got {len(found)} results: return one for each prediction,"
            " in the order of the inputs"
        )
    return found


class CallLog:
    """The log of one call. Because nothing tells which of several predictions a line is about, the
    lines go to the server's log, under the name of the call, unless the model shares them.
    """

    def __init__(self, members: Sequence[Log], server: Log, share: bool) -> None:
        self.log: Log
        self._members = members
        if len(members) == 1:
            self.log = members[0]
        else:
            self.log = _Shared(members) if share else _Named(server, os.urandom(4).hex())

    def blame(self, error: BaseException) -> BaseException:
        """Return the exception that each member gets for an exception of the call."""
        if not isinstance(self.log, _Named) or is_a(error, (CancelationException, _WrongResults)):
            return error
        self.log.write("stderr", trace(error) or "")
        return BatchError(
            f"{_name_of(type(error))} in batch {self.log.name}: the text is in the server's log,"
            " because it may be about another prediction of the batch"
        )

    def end(self) -> None:
        """End the log of the call. That of a single member goes on until its prediction has
        ended.
        """
        if len(self._members) > 1:
            self.log.end()


class _Named(Log):
    """Puts the name of a call before each line."""

    def __init__(self, server: Log, name: str) -> None:
        super().__init__()
        self._server = server
        self.name = name

    def put(self, source: str, text: str, copy: bool = False) -> None:
        lines = text.removesuffix("\n").split("\n")
        self._server.put(source, "".join(f"[batch {self.name}] {line}\n" for line in lines))


class _Shared(Log):
    """Gives each line to every member."""

    def __init__(self, members: Sequence[Log]) -> None:
        super().__init__()
        self._members = members

    def put(self, source: str, text: str, copy: bool = False) -> None:
        for number, member in enumerate(self._members):
            member.put(source, text, number > 0)


class BatchScope(Scope):
    """The scope of a call for several predictions. A metric that is recorded in it is recorded for
    each of them.
    """

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
