"""Tells apart what the predictions of an async model write.

A synchronous model needs none of this: it runs alone, its streams stay what they are, and the server attributes what
arrives through the pipes. With several predictions at once Python's streams are wrapped, and each piece of text goes to
the prediction whose context wrote it.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Callable, TextIO

from cog.internal import libc
from cog.internal import own_builtins as __builtins__  # type: ignore[no-redef]  # noqa: F401

_fstat, _open, _close, _dup, _dup2, _samestat = os.fstat, os.open, os.close, os.dup, os.dup2, os.path.samestat
_set_inheritable, _DEVNULL, _RDWR = os.set_inheritable, os.devnull, os.O_RDWR

#: Receives the name of the stream and text of the prediction that runs in this context.
Sink = Callable[[str, str], None]

sink: ContextVar[Sink | None] = ContextVar("cog_log_sink", default=None)


class RoutedStream(io.TextIOBase):
    """A text stream like the one it wraps, whose text goes to the current prediction where there is one."""

    def __init__(self, name: str, inner: TextIO) -> None:
        self._name = name
        self._inner = inner
        self.buffer = RoutedBuffer(self, inner)

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        to = sink.get()
        if to is None:
            return self._inner.write(text)
        to(self._name, str.__str__(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        if sink.get() is None:
            self._inner.flush()

    def close(self) -> None:
        """A prediction that closes its stream must not close it for the others."""

    def fileno(self) -> int:
        return self._inner.fileno()

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return "utf-8"

    @property
    def errors(self) -> str:  # type: ignore[override]
        return "backslashreplace"

    @property
    def name(self) -> str:
        return f"<{self._name}>"

    def reconfigure(self, **_: Any) -> None:
        """Accepted like on a standard stream; there is nothing to set."""


class RoutedBuffer(io.RawIOBase):
    """The bytes underneath, for those who write to ``sys.stdout.buffer``."""

    def __init__(self, stream: RoutedStream, inner: TextIO) -> None:
        self._stream = stream
        self._inner = inner

    def write(self, data: Any) -> int:
        if sink.get() is None:
            self._inner.flush()
            return self._inner.buffer.write(data)
        data = bytes(data)
        self._stream.write(data.decode("utf-8", "replace"))
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        pass

    def fileno(self) -> int:
        return self._inner.fileno()

    def writable(self) -> bool:
        return True


_NAMES = ("stdin", "stdout", "stderr")


class Streams:
    """The standard streams: they take any text, pass on each line at once, and stay. What is missing at the start, or what a
    prediction has closed, is there again for the next one; or else the next file would get its descriptor, and with it the
    prints of native code."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, os.stat_result]] = []  # duplicates of the descriptors, and what they are
        self._current: list[TextIO] = []
        self._routed: list[Any] = []
        for fd, name in enumerate(_NAMES):
            if not _is_open(fd):
                _open_null(fd)
            self._kept.append((_dup(fd), _fstat(fd)))
            stream: TextIO = getattr(sys, name) or _new_stream(fd)
            if fd and isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
            setattr(sys, name, stream)
            self._current.append(stream)

    def route(self) -> None:
        """Tell apart what the predictions of an async model write. A logger of a synchronous model that keeps such a stream
        does no harm: outside of async predictions all text is passed on."""
        self._routed = [RoutedStream(name, inner) for name, inner in zip(_NAMES[1:], self._current[1:])]
        sys.stdout, sys.stderr = self._routed

    def unroute(self) -> None:
        """Put back what `route` has replaced, where it is still there."""
        routed, self._routed = self._routed, []
        for name, inner, wrapper in zip(_NAMES[1:], self._current[1:], routed):
            if getattr(sys, name) is wrapper:
                setattr(sys, name, inner)

    def mend(self) -> None:
        """Between predictions: put back what one has closed. A stream of the model's own is left alone."""
        for fd, name in enumerate(_NAMES):
            if not _is_open(fd):
                self._reopen(fd)
            if _is_closed(getattr(sys, name, None)):
                if _is_closed(self._current[fd]):
                    self._current[fd] = _new_stream(fd)
                setattr(sys, name, self._routed[fd - 1] if fd and self._routed else self._current[fd])

    def _reopen(self, fd: int) -> None:
        kept, info = self._kept[fd]
        if _is_open(kept) and _samestat(_fstat(kept), info):
            _dup2(kept, fd)
        else:  # it was closed too, with everything else
            _open_null(fd)

    def flush(self) -> None:
        """What was printed must be in the pipes before the response is there."""
        flush_streams(*self._current[1:])
        libc.flush_stdio(None)


def _is_open(fd: int) -> bool:
    try:
        _fstat(fd)
    except OSError:
        return False
    return True


def _is_closed(stream: Any) -> bool:
    try:
        return stream is None or bool(stream.closed)
    except Exception:  # a thing of the model's own that has no such attribute
        return False


def _open_null(fd: int) -> None:
    """Let a descriptor lead nowhere."""
    made = _open(_DEVNULL, _RDWR)  # mostly gets the lowest free number: this one
    if made != fd:
        _dup2(made, fd)
        _close(made)
    _set_inheritable(fd, True)


def _new_stream(fd: int) -> TextIO:
    if fd == 0:
        return open(fd, closefd=False)
    return open(fd, "w", 1, "utf-8", "backslashreplace", closefd=False)


def flush_streams(*more: TextIO) -> None:
    """Flush the standard streams; a model may have closed or replaced them."""
    for stream in (*more, sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except Exception:
            continue
