"""Answers the server's health requests with the model's own ``healthcheck()``."""

from __future__ import annotations

from typing import Any, Callable

from cog.internal import own_builtins as __builtins__  # type: ignore[no-redef]  # noqa: F401
from cog.internal.endings import describe
from cog.internal.inotify import watch
from cog.internal.method import is_async
from cog.internal.spool import Spool

#: Seconds that a healthcheck may take.
LIMIT = 5.0

_FAILED = "Healthcheck failed: "
_TIMED_OUT = f"{_FAILED}user-defined healthcheck timed out after {LIMIT} seconds"


def verdict(call: Callable[[], Any]) -> str | None:
    """Why the model is unhealthy, None when it is well."""
    try:
        return _judge(call())
    except BaseException as error:  # whatever user code raises is its answer
        return _FAILED + describe(error)


def _judge(answer: Any) -> str | None:
    return None if answer else f"{_FAILED}user-defined healthcheck returned False"


def serve_in_thread(spool: Spool, healthcheck: Callable[[], Any]) -> None:
    """Answer from a thread of its own, beside a synchronous prediction."""
    import threading

    def serve() -> None:
        names = watch(spool.absolute("health"))
        answered = None
        while True:
            sequence = spool.health_request()
            if sequence is None or sequence == answered:
                names.wait()
                continue
            spool.put_health(sequence, _bounded(healthcheck))
            spool.look_here()
            answered = sequence

    threading.Thread(target=serve, name="cog-health", daemon=True).start()


def _bounded(healthcheck: Callable[[], Any]) -> str | None:
    """Run it in one more thread, so that one that hangs is left behind."""
    import threading

    answers = []

    def run() -> None:
        answers.append(verdict(lambda: _completed(healthcheck())))

    thread = threading.Thread(target=run, name="cog-healthcheck", daemon=True)
    thread.start()
    thread.join(LIMIT)
    return answers[0] if answers else _TIMED_OUT


def _completed(answer: Any) -> Any:
    if hasattr(answer, "__await__"):
        import asyncio

        return asyncio.run(answer)
    return answer


async def check(healthcheck: Callable[[], Any]) -> str | None:
    """Why the model is unhealthy, found out in the loop of an async model."""
    import asyncio

    try:
        if not is_async(healthcheck):
            return await asyncio.wait_for(_from_thread(healthcheck), LIMIT)
        return _judge(await asyncio.wait_for(healthcheck(), LIMIT))
    except asyncio.TimeoutError:
        return _TIMED_OUT
    except BaseException as error:
        return _FAILED + describe(error)


def _from_thread(healthcheck: Callable[[], Any]) -> Any:
    """A future of the verdict. The thread is none of the executor's: those that hang keep the process from its end."""
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
            pass  # the loop has ended meanwhile

    threading.Thread(target=run, name="cog-healthcheck", daemon=True).start()
    return future
