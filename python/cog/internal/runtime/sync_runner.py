"""Runs the predictions of a synchronous model, one after another, in the main thread."""

from __future__ import annotations

from typing import Any

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import time
from cog.internal.runtime.births import Births
from cog.internal.runtime.cancelation import Doorbell
from cog.internal.runtime.execution import Run, take
from cog.internal.runtime.inherit import Pools
from cog.internal.runtime.logs import Streams
from cog.internal.wire.inotify import Watch, let_others_run, watch
from cog.internal.wire.spool import Spool, sort_names

#: Seconds within which a server that looks for a response has taken it.
_TAKING = 0.0001


class Pace:
    """Knows whether it pays to stay awake until the next prediction comes: to be woken takes longer
    than a short one. Moments and durations in seconds, by the monotonic clock.
    """

    def __init__(self, busy_poll: float) -> None:
        self._busy_poll = busy_poll
        self._begun = 0.0
        self._ended = 0.0
        self._prompt = False  # the last one came within busy_poll of the end of the one before

    def begin(self) -> None:
        """There is a request."""
        self._begun = time.monotonic()
        self._prompt = self._begun - self._ended < self._busy_poll

    def end(self) -> None:
        """It is done with."""
        self._ended = time.monotonic()

    def brief(self) -> bool:
        """Whether the one that runs has taken less than busy_poll: for that long the server looks
        for a response.
        """
        return time.monotonic() - self._begun < self._busy_poll

    @property
    def awake_until(self) -> float:
        """Until when to look for the next one without going to sleep."""
        return self._ended + self._busy_poll if self._prompt else 0.0


class SyncRunner:
    """Runs one prediction at a time in the main thread, with no loop and no thread of our own:
    models call ``asyncio.run``, install signal handlers and talk to their GPU from there.
    """

    def __init__(
        self,
        spool: Spool,
        model: Any,
        names: Watch,
        doorbell: Doorbell,
        streams: Streams,
        busy_poll: float,
    ) -> None:
        self._spool = spool
        self._model = model
        self._names = names
        self._doorbell = doorbell
        self._streams = streams
        self._pools = Pools()
        self._pace = Pace(busy_poll)
        self._births = Births(model.directory)

    def serve(self) -> int:
        """Take requests until the server says stop."""
        if self._model.has_healthcheck:
            from cog.internal.runtime.health import serve_in_thread

            serve_in_thread(self._spool, self._model.healthcheck)
        self._tidy()
        found = self._spool.look()
        while True:
            if found.cancels:
                self._doorbell.ring()
            for fid in found.requests:
                self._take(fid)
            if found.stop:
                return 0
            names = self._wait()
            found = self._spool.look() if names is None else sort_names(names)

    def _wait(self) -> list[str] | None:
        try:
            return self._names.wait(self._pace.awake_until)
        except OSError:  # the model has closed it, with every other descriptor that it found
            self._names = watch(self._spool.path)
            return None

    def _take(self, fid: str) -> None:
        self._pace.begin()
        work = take(self._spool, self._model, fid)
        if work is None:
            return
        self._spool.busy()
        self._doorbell.begin(lambda: self._spool.canceled(fid))
        events = self._spool.events(fid)
        self._pools.follow()
        log = self._streams.lend()
        told = False

        def emit(line: bytes) -> None:
            events.append(line)
            self._spool.look_here()

        def leave() -> bool:
            nonlocal told
            self._streams.take_back(log)
            told = events.close()
            return told

        Run(self._spool, fid, work, emit, leave, self._births).run_sync(self._doorbell, log)
        if told or not self._taken(fid, work.request.watched and self._pace.brief()):
            self._spool.look_here()
        self._spool.ready()
        self._pace.end()
        self._tidy()

    def _taken(self, fid: str, watched: bool) -> bool:
        """Whether the server needs no signal for a response, because it has taken it: one that
        looks for it does so before it hears a signal, which would only keep it from what it does
        then.
        """
        late = time.monotonic() + _TAKING if watched else 0.0
        while not (taken := self._spool.taken(fid)) and time.monotonic() < late:
            let_others_run()
        return taken

    def _tidy(self) -> None:
        """Make good what the model has done to this process; not before a prediction, which would
        wait for it.
        """
        self._doorbell.end()
        self._streams.mend()
