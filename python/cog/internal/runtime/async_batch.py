"""Collects the predictions of an async model with ``@batch`` into calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Callable, NamedTuple

from cog.batch import Batching
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.runtime.batch import BatchScope, CallLog, columns, results
from cog.internal.runtime.logs import Log
from cog.internal.runtime.logs import current as current_log
from cog.scope import Scope, current


class _Member(NamedTuple):
    arguments: Mapping[str, Any]
    scope: Scope
    log: Log
    since: float
    result: asyncio.Future[Any]  # the model's result, or an exception


class Batcher:
    """Replaces the model's method. Each prediction calls it, and it calls the method once for many
    predictions.

    One call runs at a time. Predictions that arrive meanwhile are part of the next one.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, model: Any, server_log: Log) -> None:
        self._loop = loop
        self._call: Callable[..., Any] = model.predict.target
        self._batching: Batching = model.predict.batching
        self._size = min(self._batching.max_size, model.max_concurrency)
        self._server_log = server_log
        self._waiting: list[_Member] = []
        self._running: list[_Member] = []
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def __call__(self, **arguments: Any) -> Any:
        """Return the result of one prediction."""
        scope, log = current.get(), current_log.get()
        assert scope is not None and log is not None  # a run has set both
        member = _Member(arguments, scope, log, self._loop.time(), self._loop.create_future())
        self._waiting.append(member)
        self._look()
        try:
            found = await member.result
        except asyncio.CancelledError:
            await self._leave(member)
            raise
        if isinstance(found, BaseException):
            raise found
        return found

    async def _leave(self, member: _Member) -> None:
        """Remove a canceled prediction from the next call. If it is in the running call, wait for
        the end of that one, which goes on for the others and uses the files of all.
        """
        if member in self._waiting:
            self._waiting.remove(member)
        elif member in self._running and self._task is not None:
            if all(m.result.cancelled() for m in self._running):
                self._task.cancel()
            await asyncio.wait([self._task])

    def _look(self) -> None:
        """Begin the next call if it is due, else set a timer for it."""
        if self._task is not None or not self._waiting:
            return
        if len(self._waiting) >= self._size:
            self._begin()
        elif self._timer is None:
            self._timer = self._loop.call_at(
                self._waiting[0].since + self._batching.max_wait, self._late
            )

    def _late(self) -> None:
        self._timer = None
        if self._task is None and self._waiting:
            self._begin()

    def _begin(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._running, self._waiting = self._waiting[: self._size], self._waiting[self._size :]
        self._task = self._loop.create_task(self._run(self._running))

    async def _run(self, members: list[_Member]) -> None:
        current.set(BatchScope([member.scope for member in members]))
        log = CallLog(
            [member.log for member in members], self._server_log, self._batching.share_logs
        )
        current_log.set(log.log)
        found: list[Any]
        try:
            value = self._call(**columns([member.arguments for member in members]))
            found = results(await value if hasattr(value, "__await__") else value, len(members))
        except BaseException as error:  # any exception ends these predictions and nothing else
            found = [log.blame(error)] * len(members)
        log.end()
        for member, result in zip(members, found):
            if not member.result.done():  # it was not canceled
                member.result.set_result(result)
        self._running, self._task = [], None
        self._look()
