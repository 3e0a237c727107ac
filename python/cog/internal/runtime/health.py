"""Answers the server's health requests with the model's own ``healthcheck()``."""

from __future__ import annotations

from typing import Any, Callable

from cog.internal.contract.exception_text import describe
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.wire.inotify import watch
from cog.internal.wire.spool import Spool

#: Seconds that a healthcheck may take.
LIMIT = 5.0

_FAILED = "Healthcheck failed: "
_TIMED_OUT = f"{_FAILED}user-defined healthcheck timed out after {LIMIT} seconds"


def verdict(call: Callable[[], Any]) -> str | None:
    """Return why the model is unhealthy, or None if it is healthy."""
    try:
        return _judge(call())
    except BaseException as error:  # any exception of user code means unhealthy
        return _FAILED + describe(error)


def _judge(answer: Any) -> str | None:
    return None if answer else f"{_FAILED}user-defined healthcheck returned False"


def serve_in_thread(spool: Spool, healthcheck: Callable[[], Any]) -> None:
    """Answer from a thread, while a synchronous prediction runs."""
    import threading

    ask = Threaded(healthcheck)

    def serve() -> None:
        names = watch(spool.absolute("health"))
        answered = None
        while True:
            sequence = spool.health_request()
            if sequence is None or sequence == answered:
                names.wait()
                continue
            spool.put_health(sequence, ask())
            spool.look_here()
            answered = sequence

    threading.Thread(target=serve, name="cog-health", daemon=True).start()


class Threaded:
    """Asks in one more thread, so that a call that hangs does not block the answers. There is no
    second call until that one returns, because each one would leave a thread and its memory behind.
    """

    def __init__(self, healthcheck: Callable[[], Any]) -> None:
        self._healthcheck = healthcheck
        self._thread: Any = None
        self._answers: list[str | None] = []

    def __call__(self) -> str | None:
        if self._thread is None or not self._thread.is_alive():
            self._start()
        self._thread.join(LIMIT)
        return self._answers[0] if self._answers else _TIMED_OUT

    def _start(self) -> None:
        import threading

        answers = self._answers = []

        def run() -> None:
            answers.append(verdict(lambda: _completed(self._healthcheck())))

        self._thread = threading.Thread(target=run, name="cog-healthcheck", daemon=True)
        self._thread.start()


def _completed(answer: Any) -> Any:
    if hasattr(answer, "__await__"):
        import asyncio

        return asyncio.run(answer)
    return answer


class Looped:
    """Asks from the loop of an async model. Cancels a call that hangs, if that is possible. There
    is no second call until it has ended, as in `Threaded`.
    """

    def __init__(self, healthcheck: Callable[[], Any], is_async: bool) -> None:
        self._healthcheck = healthcheck
        self._ask = _awaited if is_async else _from_thread
        self._call: Any = None

    async def __call__(self) -> str | None:
        import asyncio

        if self._call is None or self._call.done():
            self._call = asyncio.ensure_future(self._ask(self._healthcheck))
        await asyncio.wait([self._call], timeout=LIMIT)
        if self._call.done():
            answer: str | None = self._call.result()
            return answer
        if isinstance(self._call, asyncio.Task):  # a thread can't be canceled
            self._call.cancel()
        return _TIMED_OUT


async def _awaited(healthcheck: Callable[[], Any]) -> str | None:
    try:
        return _judge(await healthcheck())
    except BaseException as error:
        return _FAILED + describe(error)


def _from_thread(healthcheck: Callable[[], Any]) -> Any:
    """Return a future of the verdict. The thread is not one of the executor's, because a thread of
    the executor that hangs keeps the process from ending.
    """
    import asyncio
    import threading

    loop = asyncio.get_running_loop()
    future: asyncio.Future[str | None] = loop.create_future()

    def answer(found: str | None) -> None:
        if not future.done():
            future.set_result(found)

    def run() -> None:
        found = verdict(lambda: _completed(healthcheck()))
        try:
            loop.call_soon_threadsafe(answer, found)
        except RuntimeError:
            pass  # the loop has ended since

    threading.Thread(target=run, name="cog-healthcheck", daemon=True).start()
    return future
