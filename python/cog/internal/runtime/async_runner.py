"""Runs each prediction of an async model in a task, all in one loop in the main thread."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, Callable

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import time
from cog.internal.runtime.births import Births
from cog.internal.runtime.cancelation import Early
from cog.internal.runtime.execution import Run, take
from cog.internal.runtime.health import Looped
from cog.internal.runtime.inherit import Pools
from cog.internal.runtime.logs import EventLog, Log, Streams
from cog.internal.wire.inotify import SCAN_INTERVAL, Watch, watch
from cog.internal.wire.spool import Events, Names, Spool, sort_names

_get_ident = threading.get_ident

#: The message of asyncio's RuntimeError after the model has called ``loop.stop()``.
_STOPPED = "Event loop stopped before Future completed."


def new_loop() -> asyncio.AbstractEventLoop:
    """Make the loop in which setup and all predictions run."""
    loop = asyncio.new_event_loop()
    if type(loop).__module__.startswith("asyncio."):
        # A model may replace time.monotonic.
        loop.time = time.monotonic  # type: ignore[method-assign]
    asyncio.set_event_loop(loop)
    return loop


def run_setup(loop: asyncio.AbstractEventLoop, setup: Callable[[], Any]) -> None:
    """Run the model's setup. An async setup runs in the loop, so that it may start tasks; a
    synchronous one runs outside of the loop, so that it may call ``asyncio.run()``.
    """
    result = setup()
    if hasattr(result, "__await__"):
        loop.run_until_complete(_awaited(result))
    asyncio.set_event_loop(loop)  # because asyncio.run() leaves the thread without one


async def _awaited(result: Any) -> None:
    await result


class Turn:
    """One turn of the loop. At its end one signal announces the changes of all predictions, however
    many there are, and events that could not be written before are written.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, spool: Spool) -> None:
        self._loop = loop
        self._spool = spool
        self._thread = _get_ident()
        self._pending = False
        self._events: dict[Events, None] = {}
        self._freed = False

    def touch(self, events: Events | None = None, freed: bool = False) -> None:
        """Announce at the end of the turn that there are new files or ``events``, and with
        ``freed`` that the model can take more. May be called from any thread.
        """
        if events is not None:
            self._events[events] = None
        self._freed = self._freed or freed
        if self._pending:
            return
        self._pending = True
        if _get_ident() == self._thread:
            self._loop.call_soon(self.end)
        else:
            self._loop.call_soon_threadsafe(self.end)

    def end(self) -> None:
        """Announce all that was touched in this turn."""
        if not self._pending:
            return
        self._pending = False
        written, self._events = self._events, {}
        for events in written:
            events.append(b"")
        self._spool.look_here()
        if self._freed:
            self._freed = False
            self._spool.ready()


class AsyncRunner:
    """Takes each request as it arrives. The server sends at most as many at once as the model
    takes.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        spool: Spool,
        model: Any,
        names: Watch,
        streams: Streams,
    ) -> None:
        self._loop = loop
        self._births = Births(model.directory)
        self._streams = streams
        self._spool = spool
        self._model = model
        self._names = names
        self._alone = model.max_concurrency == 1
        self._pools = Pools()
        self._turn = Turn(loop, spool)
        self._running: dict[str, tuple[Run, asyncio.Task[None]]] = {}
        self._early = Early(spool.canceled)
        self._stopped: asyncio.Future[int] = loop.create_future()
        self._draining = False
        self._answered: int | None = None
        self._check = Looped(model.healthcheck, model.has_async_healthcheck)

    def serve(self) -> int:
        """Run until the server says stop and the last prediction has ended. Uses callbacks and not
        tasks, because a model may cancel all tasks of the loop.
        """
        self._follow(self._names, self._on_names)
        if self._model.has_healthcheck:
            health = watch(self._spool.absolute("health"))
            self._follow(health, lambda: self._on_health(health))
            self._answer_health()  # the server may have asked before the watch began
        self._act(self._spool.look())
        try:
            return finish(self._loop, self._stopped)
        finally:
            self._births.close()

    def _follow(self, names: Watch, act: Callable[[], None]) -> None:
        if names.fd is not None:
            self._loop.add_reader(names.fd, act)
            return

        def again() -> None:
            act()
            self._loop.call_later(SCAN_INTERVAL, again)

        again()

    def _on_names(self) -> None:
        try:
            names = self._names.wait() if self._names.fd is not None else None
            self._act(self._spool.look() if names is None else sort_names(names))
        except OSError as error:  # the model has removed the directory, or closed the watch
            self._fail(error)

    def _act(self, found: Names) -> None:
        if found.requests:
            self._streams.mend()
        for fid in found.requests:
            self._take(fid)
        for fid in found.cancels:
            self._cancel(fid)
        self._draining = self._draining or found.stop
        self._stop_when_idle()

    def _take(self, fid: str) -> None:
        if fid in self._running:
            return
        work = take(self._spool, self._model, fid)
        if work is None:
            return
        self._pools.follow()
        events = self._spool.events(fid)

        def emit(line: bytes) -> None:
            events.append(line)
            self._turn.touch(events)

        log = self._streams.lend() if self._alone else EventLog(emit)
        run = Run(self._spool, fid, work, emit, lambda: self._leave(fid, events, log), self._births)
        task = self._loop.create_task(run.run_async(log, self._announce))
        self._running[fid] = run, task
        task.add_done_callback(lambda task: self._done(run, task))
        if len(self._running) == self._model.max_concurrency:
            self._spool.busy()
        if self._early.pop(fid):
            self._cancel(fid)

    def _cancel(self, fid: str) -> None:
        run, task = self._running.get(fid, (None, None))
        if run is None or task is None:
            self._early.note(fid)
        elif not run.canceled:
            run.canceled = True
            task.cancel()

    def _leave(self, fid: str, events: Events, log: Log) -> bool:
        """Forget a prediction right before its response is written, since the server may send the
        id again from then on.
        """
        full = len(self._running) == self._model.max_concurrency
        del self._running[fid]
        self._turn.touch(freed=full)
        if self._alone:
            self._streams.take_back(log)
        else:
            log.end()
        return events.close()

    def _announce(self) -> None:
        """Announce a response. While others run, it waits for the end of the turn, because they may
        soon have changes too; the last prediction announces at once.
        """
        if not self._running:
            self._turn.end()

    def _done(self, run: Run, task: asyncio.Task[None]) -> None:
        try:
            run.end_unstarted()
            if not task.cancelled():
                task.result()
        except OSError as error:  # even a short answer cannot be written
            self._fail(error)
        self._stop_when_idle()

    def _fail(self, error: OSError) -> None:
        """End this process, because only its exit tells the server that an answer will not come."""
        if not self._stopped.done():
            self._stopped.set_exception(error)

    def _stop_when_idle(self) -> None:
        if self._draining and not self._running and not self._stopped.done():
            self._stopped.set_result(0)

    def _on_health(self, names: Watch) -> None:
        if names.fd is not None:
            names.wait()
        self._answer_health()

    def _answer_health(self) -> None:
        sequence = self._spool.health_request()
        if sequence is not None and sequence != self._answered:
            self._answered = sequence
            self._loop.create_task(self._answer(sequence))

    async def _answer(self, sequence: int) -> None:
        self._spool.put_health(sequence, await self._check())
        self._turn.touch()


def finish(loop: asyncio.AbstractEventLoop, ended: asyncio.Future[int]) -> int:
    """Run until ``ended``, then cancel the tasks that the model has left running."""
    try:
        while True:
            try:
                return loop.run_until_complete(ended)
            except (SystemExit, KeyboardInterrupt):
                if ended.done():
                    raise
                # A task of the model has called sys.exit(), so asyncio has stopped the loop. Code
                # that awaits the task gets the exception; the loop goes on here.
            except RuntimeError as error:
                if str(error) != _STOPPED:
                    raise
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left, timeout=1))
        loop.close()
