"""Runs a synchronous method beside an async one, in a thread: it must not stop the loop."""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from typing import Any, Callable

from cog.errors import CancelationException
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import ctypes


class Threaded:
    """One call in a thread of its own, which sees the context of the prediction.

    A cancel raises CancelationException in the thread, at its next step in Python, and is over when
    the thread is: what cannot be interrupted must not go on as if nobody knew of it.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[tuple[Any, BaseException | None]] = self._loop.create_future()
        self._guard = threading.Lock()  # guards the rest
        self._in_user_code = True

    async def run(self) -> Any:
        """What the call returns or raises."""
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
        except BaseException as error:  # whatever it is, it is this call's
            failed = error
        try:
            self._tell(value, failed)
        except CancelationException:  # sent in the last moment of the call, and here only now
            self._tell(value, failed)

    def _tell(self, value: Any, error: BaseException | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle, value, error)
        except RuntimeError:
            pass  # the loop has ended meanwhile

    def _settle(self, value: Any, error: BaseException | None) -> None:
        if not self._ended.done():
            self._ended.set_result((value, error))
