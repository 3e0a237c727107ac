"""Runs one prediction, and turns every way in which it can end into one response."""

from __future__ import annotations

from collections.abc import AsyncIterator as _AsyncIterator
from collections.abc import Awaitable, Generator
from types import coroutine as _coroutine
from typing import Any, Callable, NamedTuple, Protocol

from cog.errors import CancelationException, CogError
from cog.internal.contract.exception_text import describe, is_a, leave_fork, trace
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import time
from cog.internal.runtime.births import Births
from cog.internal.runtime.cancelation import Doorbell
from cog.internal.runtime.logs import Log
from cog.internal.runtime.logs import current as current_log
from cog.internal.runtime.output import FileTable, encode_output
from cog.internal.runtime.sync_iterator import Pulled
from cog.internal.wire.spool import Request, Spool, metric_event, output_event, timestamp
from cog.scope import Scope, current


class Method(Protocol):
    """The part of `cog.internal.contract.signature` that a run needs of predict or train."""

    is_async: bool
    is_iterator: bool
    batching: Any
    output: Any

    def call(self, kwargs: dict[str, Any]) -> Any: ...

    def decode(self, values: Any, files: Any) -> dict[str, Any]: ...


class Work(NamedTuple):
    """A request and the method that it calls."""

    request: Request
    method: Method


def take(spool: Spool, model: Any, fid: str) -> Work | None:
    """Read a request. Returns None if its file is gone, or if the request cannot be run. In the
    second case the prediction has been answered as failed, and the loop goes on.
    """
    try:
        request = spool.request(fid)
        if request is None:
            return None
        spool.keep_room()
        method = {"predict": model.predict, "train": model.train}.get(request.method)
        if method is None:
            raise ValueError(f"the model has no method {request.method!r:.40}")
        return Work(request, method)
    except Exception as error:  # a malformed file can fail in any way
        text = f"the request file could not be read: {describe(error)}"
        _put(spool, fid, fid, Response("failed", b"null", False, [], text, None), {}, silent=True)
        spool.look_here()
        return None


class Response(NamedTuple):
    """The contents of ``response-{id}.json``."""

    status: str
    output: bytes | str  # bytes are JSON text; a string is encoded when it is written
    streamed: bool
    files: list[dict[str, Any]]
    error: str | None
    traceback: str | None


def _recorder(emit: Callable[[bytes], None]) -> Callable[[str, Any, str, str, Any], None]:
    """Make the listener of a scope. Because the run refers to the scope, the listener must not
    refer to the run: such a cycle would keep the input, however large, until Python's garbage
    collector runs.
    """
    return lambda name, value, mode, key, total: emit(metric_event(name, value, mode, key, total))


class Run:
    """A running prediction. It must not be part of a reference cycle, so that it and its possibly
    large input are freed the moment it ends.

    ``emit`` takes the lines of its events. The run calls ``leave`` after the last event, right
    before it writes the response; ``leave`` returns whether there were events.
    """

    def __init__(
        self,
        spool: Spool,
        fid: str,
        work: Work,
        emit: Callable[[bytes], None],
        leave: Callable[[], bool],
        births: Births,
    ) -> None:
        self.fid = fid
        self.request = work.request
        self.canceled = False  # once this is set, the status is canceled whatever the model returns
        self._spool = spool
        self._method = work.method
        self.emit = emit
        self._leave = leave
        self._ended = False
        self.scope = Scope(self.request.context, _recorder(emit), *self.request.trace)
        self._streamed = False
        self._snapshots = 0
        self._births = births
        # Files of the run, each with a function that says whether the server is done with it.
        self._made: list[tuple[str, Callable[[], bool]]] = []
        self._began = births.begin(work.request.files, work.method.output.files)
        self._start = time.perf_counter()

    # -- the two ways to run a prediction alone

    def run_sync(self, user_code: Doorbell, log: Log) -> None:
        """Run to the end, with ``user_code`` entered around each call of the model's code."""
        token, log_token = current.set(self.scope), current_log.set(log)
        try:
            response = self._sync(user_code)
        except BaseException as error:  # any exception ends this prediction and nothing else
            self.canceled = user_code.raised
            response = self._failed(error)
        finally:
            current.reset(token)
            current_log.reset(log_token)
        self.canceled = user_code.raised
        self._finish(response)

    def _sync(self, user_code: Doorbell) -> Response:
        self.wait()
        kwargs = self.decode()
        with user_code:
            value = self._method.call(kwargs)
            if hasattr(value, "__await__"):
                value = _run_alone(value)
            if hasattr(value, "__aiter__"):
                value = Pulled(value)
            if (
                not self._method.is_iterator
                and hasattr(value, "__next__")
                and not hasattr(value, "read")
            ):
                value = _listed(value)  # inside the block, where a cancel can interrupt it
        if not self._iterates(value):
            return self._returned(value)
        items = iter(value)
        try:
            while True:
                try:
                    with user_code:
                        item = next(items)
                except StopIteration:
                    return self._streamed_out()
                self._yielded(item)
        finally:
            _close(items)

    async def run_async(self, log: Log, answered: Callable[[], None]) -> None:
        """Run to the end in the loop, then call ``answered``. To cancel the prediction, cancel the
        task.
        """
        try:
            current.set(self.scope)
            current_log.set(log)
            response = await self._async()
        except BaseException as error:
            response = self._failed(error)
        self._finish(response)
        answered()

    async def _async(self) -> Response:
        for seconds in self._births.looks(self._began):
            from asyncio import sleep

            await sleep(seconds)
        kwargs = self.decode()
        if not self._method.is_async:
            from cog.internal.runtime.thread_call import Threaded

            value = await Threaded(lambda: self._method.call(kwargs)).run()
        else:
            value = self._method.call(kwargs)
        if hasattr(value, "__await__"):
            value = await value
        if isinstance(value, _AsyncIterator):
            return await self._follow(value)
        if not self._iterates(value):
            return self._returned(value)
        for item in value:
            self._yielded(item)
            await _let_others_run()
        return self._streamed_out()

    async def _follow(self, items: Any) -> Response:
        """Emit the items of an async generator as it yields them."""
        if not self._method.is_iterator:
            return self._returned([item async for item in items])
        try:
            async for item in items:
                self._yielded(item)
                await _let_others_run()
        finally:
            close = getattr(items, "aclose", None)
            if close is not None:
                await close()
        return self._streamed_out()

    # -- for a member of a batch, see `cog.internal.runtime.batch_runner`

    def wait(self) -> None:
        """Wait until a file that the run makes has a later birth than every file that exists."""
        self._births.wait(self._began)

    def decode(self) -> dict[str, Any]:
        """Return the arguments of the call. Raises InputError."""
        return self._method.decode(self.request.input, self.request.files)

    def end(self, result: Any) -> None:
        """Answer with the result of the model; an exception makes the prediction fail."""
        try:
            response = (
                self._failed(result)
                if isinstance(result, BaseException)
                else self._returned(result)
            )
        except BaseException as error:
            response = self._failed(error)
        self._finish(response)

    # -- the results of the model

    def _iterates(self, value: Any) -> bool:
        return (
            self._method.is_iterator
            and value is not None
            and hasattr(value, "__iter__")
            and not isinstance(value, str)
        )

    def _yielded(self, item: Any) -> None:
        if self._spool.forked:
            leave_fork(None)
        files = self._files(snapshot=True)
        text = encode_output(self._method.output.check(item), files)
        self._snapshots = files.next
        self._made += [(path, _always) for path in files.originals]
        self._streamed = True
        self.emit(output_event(text, files.entries))

    def _streamed_out(self) -> Response:
        return Response("succeeded", b"null", True, [], None, None)

    def _returned(self, value: Any) -> Response:
        value = self._check(value)
        if type(value) is str:
            return Response("succeeded", value, False, [], None, None)
        files = self._files()
        output = encode_output(value, files)
        spool, fid = self._spool, self.fid
        self._made += [(path, lambda: spool.taken(fid)) for path in files.originals]
        return Response("succeeded", output, False, files.entries, None, None)

    def _check(self, value: Any) -> Any:
        if value is None:
            return None
        if self._method.is_iterator:  # its annotation is an iterator, but it returned one value
            value = [value] if isinstance(value, str) else list(value)
            return [self._method.output.check(item) for item in value]
        return self._method.output.check(value)

    def _files(self, snapshot: bool = False) -> FileTable:
        return FileTable(
            lambda: self._spool.output_dir(self.fid),
            lambda path, info: self._births.made(path, info, self._began),
            self._births.shared,
            snapshot,
            self._snapshots,
        )

    # -- the end

    def end_unstarted(self) -> None:
        """Answer for a task that was canceled before its first step. Does nothing if the run has
        answered already.
        """
        if not self._ended:
            self._finish(self._failed(CancelationException()))

    def _failed(self, error: BaseException) -> Response:
        """Make the response of a run that an exception has ended, whatever the exception."""
        if self._spool.forked:
            leave_fork(error)
        # Rendering a traceback takes longer than the rest of a cancel, and nobody would read it.
        if self.canceled:
            return Response("canceled", b"null", self._streamed, [], None, None)
        # A CogError explains itself to the author or the client. Its traceback would show only the
        # runner's own code.
        own = is_a(error, CogError)
        return Response(
            "failed", b"null", self._streamed, [], describe(error), None if own else trace(error)
        )

    def _finish(self, response: Response) -> None:
        if self._spool.forked:
            leave_fork(None)
        self._ended = True
        if self.canceled:
            response = Response("canceled", b"null", response.streamed, [], None, None)
        metrics = {"predict_time": time.perf_counter() - self._start}
        if self._method.batching:
            metrics["batch_size"] = len(self.scope.members)
        self._births.end(self._began, self._made)
        silent = False  # whether the prediction wrote no events
        try:
            silent = not self._leave()
            self._put(response, {**metrics, **self.scope.metrics.nested()}, silent)
        except Exception as error:
            # Most likely the disk is full. A short answer may still fit, and the loop must go on.
            text = f"the answer could not be written: {describe(error)}"
            failed = Response("failed", b"null", self._streamed, [], text, None)
            self._put(response if self.canceled else failed, metrics, silent, must=True)

    def _put(
        self, response: Response, metrics: dict[str, Any], silent: bool, must: bool = False
    ) -> None:
        _put(self._spool, self.fid, self.request.id, response, metrics, silent, must)


def _put(
    spool: Spool,
    fid: str,
    id: str,
    response: Response,
    metrics: dict[str, Any],
    silent: bool,
    must: bool = False,
) -> None:
    head = {
        "id": id,
        "silent": silent,
        "status": response.status,
        "streamed": response.streamed,
        "files": response.files,
        "error": response.error,
        "traceback": response.traceback,
        "metrics": metrics,
        "completed_at": timestamp(),
    }
    spool.put_response(fid, head, response.output, must)


def _always() -> bool:
    return True


def _run_alone(value: Awaitable[Any]) -> Any:
    """Await what a synchronous model has returned, in a new loop."""
    import asyncio

    async def wait() -> Any:
        return await value

    return asyncio.run(wait())


def _listed(items: Any) -> list[Any]:
    try:
        return list(items)
    finally:
        _close(items)


@_coroutine
def _let_others_run() -> Generator[None, None, None]:
    """Let the loop run other tasks once. A generator that computes between its items never waits
    for anything. Without this, its items would not be sent when it yields them, a cancel would not
    arrive, and the other predictions would stop.
    """
    yield


def _close(items: Any) -> None:
    """Close a generator that is not exhausted, so that its clean-up runs now."""
    close = getattr(items, "close", None)
    if close is not None:
        close()
