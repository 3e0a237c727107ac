"""Calls the few functions of the C library that Python does not offer."""

from __future__ import annotations

from typing import Any

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import ctypes, os

_libc = ctypes.CDLL(None, use_errno=True)

_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


def call(name: str, *args: Any) -> int:
    """Call a function that returns a negative number on failure. Raises OSError in that case."""
    result = int(getattr(_libc, name)(*args))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies. Raises AttributeError or OSError if
    the system does not support that.
    """
    call("prctl", _PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0)


#: Flushes the text that C code has printed.
flush_stdio = _libc.fflush
