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
        to(self._name, str(text))
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


def prepare_streams() -> None:
    """Make the standard streams take any text and pass on each line at once; a missing one becomes a real one that
    leads nowhere, or else the next file would get its descriptor and the prints of native code."""
    for fd, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(fd)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
            os.set_inheritable(fd, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, "w" if fd else "r", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)


def route_streams() -> Callable[[], None]:
    """Wrap the standard streams; what is returned puts them back.

    Done before the model is imported, because loggers keep the stream that they find there. One that was kept by a
    synchronous model is harmless: outside of async predictions all text is passed on.
    """
    streams = sys.stdout, sys.stderr
    routed = RoutedStream("stdout", sys.stdout), RoutedStream("stderr", sys.stderr)
    sys.stdout, sys.stderr = routed

    def put_back() -> None:
        for name, inner, wrapper in zip(("stdout", "stderr"), streams, routed):
            if getattr(sys, name) is wrapper:
                setattr(sys, name, inner)

    return put_back


def flush_streams(streams: list[TextIO | None]) -> None:
    """Flush what can be flushed; a model may have closed or replaced its streams."""
    for stream in streams:
        try:
            if stream is not None:
                stream.flush()
        except Exception:
            continue
