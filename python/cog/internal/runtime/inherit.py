"""Lets a prediction's other threads see its scope and write to its logs.

A new thread belongs to the prediction that starts it, as with Python 3.14's
``thread_inherit_context``. Work for a pool of threads belongs to the prediction that submits it,
even if another one has started the thread.
"""

from __future__ import annotations

import _thread
import sys
from typing import Any, Callable

from cog import scope
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.runtime import logs

_scope, _log = scope.current, logs.current
_modules = sys.modules


def follow_threads() -> None:
    """Let each thread belong to the prediction that starts it. Called before the model is imported,
    because the module ``threading`` keeps the functions of ``_thread`` that it finds when it is
    imported. It is not imported here, which would take a millisecond.
    """
    threading = _modules.get("threading")
    # the second exists since Python 3.13
    for name in ("start_new_thread", "start_joinable_thread"):
        start = getattr(_thread, name, None)
        if start is None:
            continue
        setattr(_thread, name, _inherited(start))
        if threading is not None:
            setattr(threading, f"_{name}", getattr(_thread, name))


def _inherited(start: Callable[..., Any]) -> Callable[..., Any]:
    def start_thread(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        log = _log.get()
        if log is not None:
            function = _within(log, _scope.get(), function)
        return start(function, *args, **kwargs)

    return start_thread


def _within(
    log: logs.Log, own: scope.Scope | None, function: Callable[..., Any]
) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        _log.set(log)
        _scope.set(own)
        return function(*args, **kwargs)

    return run


class Pools:
    """Lets work in the threads of `concurrent.futures` belong to the prediction that submits it."""

    def __init__(self) -> None:
        self._followed = False

    def follow(self) -> None:
        """Patch the module once it has been imported; called before each prediction. If a
        prediction imports it and makes a pool, the pool's threads belong to that prediction anyway,
        because it has started them.
        """
        if not self._followed and "concurrent.futures.thread" in _modules:
            self._followed = True
            executor = _modules["concurrent.futures.thread"].ThreadPoolExecutor
            executor.submit = _submit(executor.submit)


def _submit(submit: Callable[..., Any]) -> Callable[..., Any]:
    def submit_for(self: Any, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        return submit(self, _task(_log.get(), _scope.get(), fn), *args, **kwargs)

    return submit_for


def _task(
    log: logs.Log | None, own: scope.Scope | None, function: Callable[..., Any]
) -> Callable[..., Any]:
    def run(*args: Any, **kwargs: Any) -> Any:
        tokens = _log.set(log), _scope.set(own)
        try:
            return function(*args, **kwargs)
        finally:
            _log.reset(tokens[0])
            _scope.reset(tokens[1])

    return run
