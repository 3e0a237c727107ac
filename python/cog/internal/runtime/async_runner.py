"""Runs the predictions of an async model: one task for each, in one loop in the main thread."""

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

#: What asyncio says when the model has called ``loop.stop()``.
_STOPPED = "Event loop stopped before Future completed."


def new_loop() -> asyncio.AbstractEventLoop:
    """The loop in which setup and all predictions run."""
    loop = asyncio.new_event_loop()
    if type(loop).__module__.startswith("asyncio."):
        loop.time = time.monotonic  # type: ignore[method-assign]  # a model may replace time.monotonic
    asyncio.set_event_loop(loop)
    return loop


def run_setup(loop: asyncio.AbstractEventLoop, setup: Callable[[], Any]) -> None:
    """Run the model's setup: in the loop if it is async, so that it may start tasks, else outside
    of it, so that it may call ``asyncio.run()``.
    """
    result = setup()
    if hasattr(result, "__await__"):
        loop.run_until_complete(_awaited(result))
    asyncio.set_event_loop(loop)  # asyncio.run() leaves none


async def _awaited(result: Any) -> None:
    await result


class Turn:
    """One turn of the loop. What its predictions have to say is announced at its end: one signal,
    however many there are. What could not be written before is written then.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, spool: Spool) -> None:
        self._loop = loop
        self._spool = spool
        self._thread = _get_ident()
        self._pending = False
        self._events: dict[Events, None] = {}
        self._freed = False

    def touch(self, events: Events | None = None, freed: bool = False) -> None:
        """There is something to announce; any thread may say so."""
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
        """Announce what there is to announce."""
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
    """Takes requests as they come; the server sends no more at once than the model takes."""

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
        """Run until the server says stop and the last prediction has ended. Nothing here is a task:
        a model may cancel all that there are.
        """
        self._follow(self._names, self._on_names)
        if self._model.has_healthcheck:
            health = watch(self._spool.absolute("health"))
            self._follow(health, lambda: self._on_health(health))
            self._answer_health()  # it may have asked already
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
        except OSError as error:  # the directory is gone, or the watch
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
        """The last thing before the response is written: from then on the id may come again."""
        full = len(self._running) == self._model.max_concurrency
        del self._running[fid]
        self._turn.touch(freed=full)
        if self._alone:
            self._streams.take_back(log)
        else:
            log.end()
        return events.close()

    def _announce(self) -> None:
        """A response is there. Others that run may soon have something to say too; the last one
        says it at once.
        """
        if not self._running:
            self._turn.end()

    def _done(self, run: Run, task: asyncio.Task[None]) -> None:
        try:
            run.end_unstarted()
            if not task.cancelled():
                task.result()
        except OSError as error:  # not even a short answer can be written
            self._fail(error)
        self._stop_when_idle()

    def _fail(self, error: OSError) -> None:
        """End this process: the server learns in no other way that an answer will not come."""
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
    """Run until ``ended``, then cancel what the model left running."""
    try:
        while True:
            try:
                return loop.run_until_complete(ended)
            except (SystemExit, KeyboardInterrupt):
                if ended.done():
                    raise
                # A task of the model's own called sys.exit(). Whoever awaits it sees that; asyncio
                # stops the loop besides.
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
