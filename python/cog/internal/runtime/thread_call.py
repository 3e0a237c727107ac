"""Runs a synchronous method of an async model in a thread, because it must not block the loop."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from typing import Any, Callable

from cog.errors import CancelationException
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import ctypes


class Threaded:
    """One call in its own thread, which sees the context of the prediction.

    A cancel raises CancelationException in the thread, at its next step in Python. The cancel is
    finished only when the thread has ended: code that cannot be interrupted must not run on behind
    a prediction that counts as finished.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[tuple[Any, BaseException | None]] = self._loop.create_future()
        self._guard = threading.Lock()  # guards _in_user_code
        self._in_user_code = True

    async def run(self) -> Any:
        """Return or raise the result of the call."""
        thread = threading.Thread(
            target=copy_context().run, args=(self._run,), name="cog-call", daemon=True
        )
        thread.start()
        try:
            value, error = await asyncio.shield(self._ended)
        except asyncio.CancelledError:
            self._interrupt(thread)
            await asyncio.wait([self._ended])
            raise
        if error is not None:
            raise error
        return value

    def _interrupt(self, thread: threading.Thread) -> None:
        with self._guard:
            if self._in_user_code and thread.ident is not None:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(
                    ctypes.c_ulong(thread.ident), ctypes.py_object(CancelationException)
                )

    def _run(self) -> None:
        value: Any = None
        failed: BaseException | None = None
        try:
            value = self._call()
            with self._guard:
                self._in_user_code = False
        except BaseException as error:  # any exception is the result of this call
            failed = error
        try:
            self._tell(value, failed)
        except CancelationException:  # one sent at the very end of the call
            self._tell(value, failed)

    def _tell(self, value: Any, error: BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._set_result, value, error)
        except RuntimeError:
            pass  # the loop has ended since

    def _set_result(self, value: Any, error: BaseException | None) -> None:
        if not self._ended.done():
            self._ended.set_result((value, error))
