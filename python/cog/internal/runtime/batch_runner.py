"""Runs a synchronous model with ``@batch``: one call after another, each for all predictions that
are waiting.
"""

from __future__ import annotations

from typing import Any

from cog.errors import CancelationException
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import time
from cog.internal.runtime.batch import BatchScope, CallLog, columns, results
from cog.internal.runtime.births import Births
from cog.internal.runtime.cancelation import Doorbell, Early
from cog.internal.runtime.execution import Run, take
from cog.internal.runtime.inherit import Pools
from cog.internal.runtime.logs import EventLog, Log, Streams
from cog.internal.runtime.logs import current as current_log
from cog.internal.wire.inotify import Watch
from cog.internal.wire.spool import Spool, sort_names
from cog.scope import current


class BatchRunner:
    """Takes requests and calls the model in the main thread, without a loop or another thread."""

    def __init__(
        self, spool: Spool, model: Any, names: Watch, doorbell: Doorbell, streams: Streams
    ) -> None:
        self._births = Births(model.directory)
        self._spool = spool
        self._model = model
        self._method = model.predict
        self._names = names
        self._doorbell = doorbell
        self._size = min(model.predict.batching.max_size, model.max_concurrency)
        self._found: dict[str, None] = {}  # requests that it has seen and not read, in order
        # the predictions that wait for the next call, or are in it
        self._batch: dict[str, Run] = {}
        self._logs: dict[str, Log] = {}  # the logs of the predictions that have not ended
        self._pools = Pools()
        self._early = Early(spool.canceled)
        self._stop = False
        self._streams = streams

    def serve(self) -> int:
        """Answer batches until the server says stop."""
        if self._model.has_healthcheck:
            from cog.internal.runtime.health import serve_in_thread

            serve_in_thread(self._spool, self._model.healthcheck)
        self._doorbell.listen()
        self._note(None)
        while self._fill():
            self._answer()
        self._births.close()
        return 0

    # -- before the call

    def _fill(self) -> bool:
        """Take the current requests, and wait for others. Returns False if there are none and the
        server says stop.
        """
        while True:
            self._take()
            if self._batch:
                self._wait_for_others()
            if self._batch:
                return True
            if self._stop:
                return False
            self._note(self._names.wait())

    def _wait_for_others(self) -> None:
        """Wait until the batch is full, its first prediction has waited for ``max_wait``, or all
        have been canceled.
        """
        end = time.monotonic() + self._method.batching.max_wait
        while self._batch and len(self._batch) < self._size and not self._stop:
            names = self._names.wait_for(end - time.monotonic())
            if names == [] and time.monotonic() >= end:
                return
            self._note(names)
            self._take()

    def _note(self, names: list[str] | None) -> None:
        """Look at the files that are new. A prediction that is canceled before the call is not part
        of it.
        """
        found = self._spool.look() if names is None else sort_names(names)
        for fid in found.requests:
            if fid not in self._batch:
                self._found[fid] = None
        for fid in found.cancels:
            if fid in self._batch:
                self._cancel(self._batch[fid])
            else:
                self._early.note(fid)
        self._stop = self._stop or found.stop

    def _take(self) -> None:
        while self._found and len(self._batch) < self._size:
            fid = next(iter(self._found))
            del self._found[fid]
            work = take(self._spool, self._model, fid)
            if work is None:
                continue
            run = self._run(fid, work)
            if work.method is not self._method:  # train, which runs alone
                self._streams.mend()
                if self._early.pop(fid):
                    self._doorbell.ring()
                self._doorbell.begin(
                    lambda fid=fid: self._spool.canceled(fid)  # type: ignore[misc]
                )
                run.run_sync(self._doorbell, self._logs[fid])
                self._doorbell.end()
                self._spool.look_here()
                continue
            self._batch[fid] = run
            if self._early.pop(fid):
                self._cancel(run)

    def _run(self, fid: str, work: Any) -> Run:
        events = self._spool.events(fid)

        def emit(line: bytes) -> None:
            events.append(line)
            self._spool.look_here()

        self._logs[fid] = log = EventLog(emit)

        def leave() -> bool:
            self._batch.pop(fid, None)
            del self._logs[fid]
            log.end()
            return events.close()

        return Run(self._spool, fid, work, emit, leave, self._births)

    def _cancel(self, run: Run) -> None:
        run.canceled = True
        run.end(CancelationException())
        self._spool.look_here()

    # -- the call

    def _answer(self) -> None:
        if self._model.max_concurrency > self._size:  # other predictions may wait for the next call
            self._note(self._names.wait_for(0))
        full = len(self._batch) + len(self._found) >= self._model.max_concurrency
        if full:
            self._spool.busy()
        runs, arguments = self._decoded()
        if runs:
            runs[-1].wait()
            self._streams.mend()
            found = self._call(runs, arguments)
            for run, result in zip(runs, found):
                run.end(result)
        self._spool.look_here()
        if full:
            self._spool.ready()

    def _decoded(self) -> tuple[list[Run], list[dict[str, Any]]]:
        """Return the runs of the call, with their arguments. A run whose input is invalid fails,
        and is not part of the call.
        """
        runs, arguments = [], []
        for run in list(self._batch.values()):
            try:
                arguments.append(run.decode())
                runs.append(run)
            except BaseException as error:
                run.end(error)
        return runs, arguments

    def _call(self, runs: list[Run], arguments: list[dict[str, Any]]) -> list[Any]:
        """Call the model, and return a result or an exception for each run."""
        log = CallLog(
            [self._logs[run.fid] for run in runs],
            self._streams.server,
            self._method.batching.share_logs,
        )
        scope = current.set(BatchScope([run.scope for run in runs]))
        token = current_log.set(log.log)
        self._pools.follow()
        self._doorbell.begin(lambda: self._nobody_waits(runs))
        try:
            with self._doorbell:
                value = self._method.call(columns(arguments))
                return results(value, len(runs))
        except BaseException as error:  # any exception ends these predictions and nothing else
            return [log.blame(error)] * len(runs)
        finally:
            self._doorbell.end()
            current_log.reset(token)
            current.reset(scope)
            log.end()

    def _nobody_waits(self, runs: list[Run]) -> bool:
        """Note which runs are canceled, and return whether all are. Otherwise the call goes on for
        the others. It uses the files of all, so even canceled runs are answered only at its end.
        """
        for run in runs:
            run.canceled = run.canceled or self._spool.canceled(run.fid)
        return all(run.canceled for run in runs)
