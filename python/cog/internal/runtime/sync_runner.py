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

#: Seconds to wait for a polling server to take a response.
_TAKING = 0.0001


class Pace:
    """Decides whether to poll for the next request instead of sleeping, because waking up takes
    longer than a short prediction. Times are in seconds, by the monotonic clock.
    """

    def __init__(self, busy_poll: float) -> None:
        self._busy_poll = busy_poll
        self._begun = 0.0
        self._ended = 0.0
        self._prompt = False  # the last request came within busy_poll of the end of the one before

    def begin(self) -> None:
        """Note that a request has come."""
        self._begun = time.monotonic()
        self._prompt = self._begun - self._ended < self._busy_poll

    def end(self) -> None:
        """Note that it has been answered."""
        self._ended = time.monotonic()

    def brief(self) -> bool:
        """Whether the running prediction has taken less than busy_poll, so that the server still
        polls for its response.
        """
        return time.monotonic() - self._begun < self._busy_poll

    @property
    def awake_until(self) -> float:
        """The time until which to poll for the next request; 0 to sleep at once."""
        return self._ended + self._busy_poll if self._prompt else 0.0


class SyncRunner:
    """Runs one prediction at a time in the main thread, without a loop or another thread, because
    models call ``asyncio.run``, install signal handlers and use their GPU in the main thread.
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
        except OSError:  # the model has closed the watch, perhaps with all other descriptors
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
        """Return whether the server has taken the response, so that it does not need a signal. A
        polling server finds the response before the signal, which would then only interrupt its
        work on the answer.
        """
        late = time.monotonic() + _TAKING if watched else 0.0
        while not (taken := self._spool.taken(fid)) and time.monotonic() < late:
            let_others_run()
        return taken

    def _tidy(self) -> None:
        """Undo the model's changes to signals and streams. Done after each prediction, so that the
        next one does not wait for it.
        """
        self._doorbell.end()
        self._streams.mend()
