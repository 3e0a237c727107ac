"""Runs one prediction and turns every ending into one response."""

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
    """What is needed of the model's predict or train, see `cog.internal.contract.signature`."""

    is_async: bool
    is_iterator: bool
    batching: Any
    output: Any

    def call(self, kwargs: dict[str, Any]) -> Any: ...

    def decode(self, values: Any, files: Any) -> dict[str, Any]: ...


class Work(NamedTuple):
    """A request and what it runs."""

    request: Request
    method: Method


def take(spool: Spool, model: Any, fid: str) -> Work | None:
    """Read a request. None when it is gone, or can't be run: then it was answered as failed, and
    the loop goes on.
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
    except Exception as error:  # a file can be wrong in any way
        text = f"the request file could not be read: {describe(error)}"
        _put(spool, fid, fid, Response("failed", b"null", False, [], text, None), {}, silent=True)
        spool.look_here()
        return None


class Response(NamedTuple):
    """What goes into ``response-{id}.json``."""

    status: str
    output: bytes | str  # JSON text, or a string that is yet to be encoded
    streamed: bool
    files: list[dict[str, Any]]
    error: str | None
    traceback: str | None


def _recorder(emit: Callable[[bytes], None]) -> Callable[[str, Any, str, str, Any], None]:
    """The listener of a scope. It does not know the run, which knows the scope: a ring of the two
    would keep the input, however large, until Python's collector comes by.
    """
    return lambda name, value, mode, key, total: emit(metric_event(name, value, mode, key, total))


class Run:
    """One prediction under way. Nothing that it holds may hold it: it has to go when it has ended,
    and its input with it.

    ``emit`` takes lines for its events; ``leave`` is called when there will be none any more, right
    before the response is written, and says whether there were any.
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
        self.canceled = False  # told to end; whatever the model returns then does not count
        self._spool = spool
        self._method = work.method
        self.emit = emit
        self._leave = leave
        self._ended = False
        self.scope = Scope(self.request.context, _recorder(emit), *self.request.trace)
        self._streamed = False
        self._snapshots = 0
        self._births = births
        self._made: list[
            tuple[str, Callable[[], bool]]
        ] = []  # files of the run, and whether the server is done with them
        self._began = births.begin(work.request.files, work.method.output.files)
        self._start = time.perf_counter()

    # -- the two ways to run

    def run_sync(self, user_code: Doorbell, log: Log) -> None:
        """Run to the end; ``user_code`` is entered around each call of the model's code."""
        token, log_token = current.set(self.scope), current_log.set(log)
        try:
            response = self._sync(user_code)
        except BaseException as error:  # whatever it is, it ends this prediction and nothing else
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
                value = _listed(value)  # here, where it can be canceled
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
        """Run to the end in the loop, then call ``answered``; the task is canceled to cancel the
        prediction.
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
        """Take the items of an async generator as they come."""
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

    # -- as one of a batch, see `cog.internal.runtime.batch_runner`

    def wait(self) -> None:
        """Wait until the files that the run makes can be told from those that are there."""
        self._births.wait(self._began)

    def decode(self) -> dict[str, Any]:
        """The arguments of the call; raises InputError."""
        return self._method.decode(self.request.input, self.request.files)

    def end(self, result: Any) -> None:
        """Answer with what the model gave; an exception stands for itself."""
        try:
            response = (
                self._failed(result)
                if isinstance(result, BaseException)
                else self._returned(result)
            )
        except BaseException as error:
            response = self._failed(error)
        self._finish(response)

    # -- what the model gives

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
        if self._method.is_iterator:  # declared as an iterator, but it returned one thing
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
        """Answer for a task that was canceled before its first step; does nothing after any
        other.
        """
        if not self._ended:
            self._finish(self._failed(CancelationException()))

    def _failed(self, error: BaseException) -> Response:
        """The ladder: every way in which a run can end early."""
        if self._spool.forked:
            leave_fork(error)
        if (
            self.canceled
        ):  # nobody will read why: a traceback takes longer than all the rest of a cancel
            return Response("canceled", b"null", self._streamed, [], None, None)
        own = is_a(
            error, CogError
        )  # our words for the author or the client: a traceback would only show us
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
        silent = False  # whether no event was written
        try:
            silent = not self._leave()
            self._put(response, {**metrics, **self.scope.metrics.nested()}, silent)
        except (
            Exception
        ) as error:  # most likely a full disk: a short answer may fit, and the loop must not end
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
    """Await something that a synchronous model returned, in a loop of its own."""
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
    """Give the loop a turn: a generator that computes between its items never waits for anything,
    and without a turn its items would not leave when they are yielded, no cancel would arrive, and
    the other predictions would stand still.
    """
    yield


def _close(items: Any) -> None:
    """End a generator that is not exhausted, so that its clean-up runs now."""
    close = getattr(items, "close", None)
    if close is not None:
        close()
