"""Sends each line that the model writes to the prediction that it belongs to.

The runner wraps Python's standard streams. While a prediction runs, it gets each line that was
written in its context. Threads and tasks that outlive a prediction write to the server's log, and
so does code that runs for no prediction. Where the model runs one prediction at a time,
`Streams.lend` gives that prediction the descriptors too, so that it also gets the text of native
code and of child processes.
"""

from __future__ import annotations

import io
import sys
from _thread import get_ident as _get_ident
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, Callable, TextIO

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os, time
from cog.internal.wire import libc
from cog.internal.wire.spool import log_event

_WRITE = os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
_flush_stdio = libc.flush_stdio

_NAMES = ("stdin", "stdout", "stderr")
_FDS = {"stdout": 1, "stderr": 2}

#: The most characters of an unfinished line that are kept back until it ends.
_LONGEST = 64 << 10


class Log:
    """Takes text in pieces and passes on lines. A line is passed on at its end, at a carriage
    return (progress bars), or when its stream is flushed. Each thread has its own unfinished line,
    so that two threads that print at once do not mix theirs.
    """

    #: Whether the prediction has ended. Text that is written after that goes to the server's log.
    ended = False

    #: The thread that may write to the descriptors directly; 0 if all must go through `write`.
    thread = 0

    def __init__(self) -> None:
        self._begun: dict[tuple[str, int], str] = {}  # unfinished lines, by stream and thread

    def put(self, source: str, text: str, copy: bool = False) -> None:
        """Pass on whole lines, or the part of a line that there is. A ``copy`` is text that another
        prediction has already got.
        """
        raise NotImplementedError

    def write(self, source: str, text: str) -> None:
        """Take text that this thread writes to a stream."""
        if self._begun:
            text = self._begun.pop((source, _get_ident()), "") + text
        if text.endswith("\n"):
            self.put(source, text)
            return
        at = len(text) if "\r" in text or len(text) > _LONGEST else text.rfind("\n") + 1
        if at:
            self.put(source, text[:at])
        if at < len(text):
            self._begun[source, _get_ident()] = text[at:]

    def flush(self, source: str) -> None:
        """Pass on the line that this thread has begun."""
        rest = self._begun.pop((source, _get_ident()), "")
        if rest:
            self.put(source, rest)

    def pass_on(self) -> None:
        """Pass on the unfinished lines of all threads."""
        while self._begun:
            source, thread = next(iter(self._begun))
            self.put(source, self._begun.pop((source, thread)))

    def end(self) -> None:
        """Pass on the unfinished lines, and mark the prediction as ended."""
        self.pass_on()
        self.ended = True
        self.thread = 0


#: The log of the prediction that runs in this context.
current: ContextVar[Log | None] = ContextVar("cog_log", default=None)


_current_log = current.get


class DescriptorLog(Log):
    """Writes to the standard descriptors, wherever they lead. Text from the prediction's own thread
    goes through Python's own streams instead, which takes half the time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.thread = _get_ident()

    def put(self, source: str, text: str, copy: bool = False) -> None:
        _write_all(_FDS[source], text.encode("utf-8", "backslashreplace"))


class ServerLog(Log):
    """Writes to the server's log, to which the standard descriptors led at the start."""

    def __init__(self) -> None:
        super().__init__()
        # Duplicates of the descriptors, with their fstat. Where both lead to the same file, there
        # is one duplicate for both.
        out, err = (os.fstat(fd) for fd in _FDS.values())
        home = os.dup(1), out
        self._homes = {
            "stdout": home,
            "stderr": home if os.path.samestat(out, err) else (os.dup(2), err),
        }

    def home(self, source: str) -> int | None:
        """Return the duplicate, or None if the model has closed it, for instance together with all
        other descriptors.
        """
        fd, known = self._homes[source]
        try:
            now = os.fstat(fd)
        except OSError:
            return None
        return fd if now.st_ino == known.st_ino and now.st_dev == known.st_dev else None

    def homes(self) -> tuple[int | None, int | None]:
        """Return the two duplicates."""
        out = self.home("stdout")
        return out, out if self._homes["stderr"] is self._homes["stdout"] else self.home("stderr")

    def put(self, source: str, text: str, copy: bool = False) -> None:
        home = self.home(source)
        if home is not None:
            _write_all(home, text.encode("utf-8", "backslashreplace"))


def _write_all(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:  # a child process may have made the shared pipe non-blocking
            time.sleep(0.001)


class RoutedStream(io.TextIOBase):
    """A text stream in place of a standard one. Its text goes to the current prediction if there is
    one, else to the server's log.
    """

    mode = "w"
    line_buffering = True
    write_through = False

    def __init__(self, source: str, nobody: Log) -> None:
        self._source = source
        self._nobody = nobody
        self.buffer = RoutedBuffer(self)
        self.renew()

    def renew(self) -> None:
        """Open Python's own stream again, and discard the unwritten text of the one before. The
        descriptor must be open.
        """
        fd = _FDS[self._source]
        raw = io.FileIO(fd, "w", closefd=False)
        self.plain = io.TextIOWrapper(
            io.BufferedWriter(raw), "utf-8", "backslashreplace", line_buffering=True
        )
        self._write_plain = self.plain.write
        self.broken = False

    def _log(self) -> Log:
        log = current.get()
        return self._nobody if log is None or log.ended else log

    def write(self, text: str) -> int:
        log = _current_log()
        if log is not None and log.thread == _get_ident():
            return self._write_plain(text)
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._log().write(self._source, text if type(text) is str else str.__str__(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        log = self._log()
        if log.thread == _get_ident():
            self.plain.flush()
        else:
            log.flush(self._source)

    def write_bytes(self, data: bytes) -> None:
        """Write the bytes that a model writes to `RoutedBuffer`."""
        if self._log().thread == _get_ident():
            self.plain.flush()
            self.plain.buffer.write(data)
            self.plain.buffer.flush()
        else:
            self.write(data.decode("utf-8", "replace"))

    def finish(self) -> None:
        """Write what Python's own stream has kept back. If that fails, discard it, so that it does
        not show up in a later prediction, and mark the stream as ``broken``.
        """
        try:
            self.plain.flush()
        except (OSError, ValueError):
            self.plain.buffer.raw.close()  # closes the Python object alone, not the descriptor
            self.broken = True

    def close(self) -> None:
        """Do nothing: a prediction that closes its stream must not close it for the others."""

    def detach(self) -> Any:
        """Return the byte stream. This stream stays usable."""
        return self.buffer

    def fileno(self) -> int:
        return _FDS[self._source]

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
        return f"<{self._source}>"

    def reconfigure(self, **_: Any) -> None:
        """Accept the settings of a standard stream, and ignore them."""


class RoutedBuffer(io.RawIOBase):
    """The byte stream below, for code that writes to ``sys.stdout.buffer``."""

    def __init__(self, stream: RoutedStream) -> None:
        self._stream = stream

    def write(self, data: Any) -> int:
        data = bytes(data)
        self._stream.write_bytes(data)
        return len(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        pass

    def fileno(self) -> int:
        return self._stream.fileno()

    def writable(self) -> bool:
        return True

    @property
    def name(self) -> str:
        return self._stream.name

    @property
    def raw(self) -> RoutedBuffer:
        return self


class EventLog(Log):
    """Writes text into the events of one prediction, which may run at the same time as others."""

    def __init__(self, emit: Callable[[bytes], None]) -> None:
        super().__init__()
        self._emit = emit

    def put(self, source: str, text: str, copy: bool = False) -> None:
        self._emit(log_event(source, text, copy))


class Streams:
    """The standard streams and their descriptors, which take any text and always exist. A
    descriptor that is missing at the start, or that a prediction has closed, is opened again before
    the next prediction. Otherwise the next file that the model opens would get its number, and with
    it the output of native code.
    """

    def __init__(self, lent: str) -> None:
        self._lent = lent  # the pipe for a prediction that runs alone
        for fd in (0, *_FDS.values()):
            if not _is_open(fd):
                _open_null(fd)
        self.server = ServerLog()
        self._streams: dict[str, Any] = {"stdin": sys.stdin or _open_stdin()}
        # If the server logs the two streams separately, each has its own pipe, here too.
        out, err = self.server.homes()
        apart = lent + "-stderr"
        self._lent_stderr = apart if out != err and os.path.exists(apart) else None
        self._routed = [RoutedStream(source, self.server) for source in _FDS]
        for source, routed in zip(_FDS, self._routed):
            stream = getattr(sys, source)
            # Code that has kept the original stream writes to the descriptor, as native code does.
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", line_buffering=True)
            self._streams[source] = routed
        for name, stream in self._streams.items():
            setattr(sys, name, stream)
        os.register_at_fork(after_in_child=_disown)

    def lend(self) -> Log:
        """Give the descriptors to a prediction that runs alone, and return its log. Its text, and
        that of child processes that it starts, arrives in the order of writing. Text of earlier
        child processes does not mix with it, because they have the descriptors of an earlier time.
        """
        self._flush_others()  # `take_back` flushes what the prediction writes
        try:
            _lead(self._lent, 1)
            _lead(self._lent_stderr, 2)
        except OSError as error:  # the model has removed it
            self._go_home()
            self.server.put(
                "stderr",
                "the logs of a prediction follow, because the runner cannot open its pipe:"
                f" {error}\n",
            )
            return self.server
        return DescriptorLog()

    def _go_home(self) -> None:
        for fd, home in enumerate(self.server.homes(), 1):
            _restore(fd, home)

    def take_back(self, log: Log) -> None:
        """Take the descriptors back from the prediction to which `lend` gave them."""
        self.flush()
        if log is not self.server:
            log.end()
            self._go_home()
        for stream in self._routed:
            if stream.broken:
                stream.renew()

    def mend(self) -> None:
        """Open again what the last prediction has closed. Called between predictions. Does not
        touch a stream that the model has put in place of a standard one.
        """
        self.server.pass_on()
        if not _is_open(0):
            _open_null(0)
        for source, fd in _FDS.items():
            if not _is_open(fd):
                _restore(fd, self.server.home(source))
        if _is_closed(self._streams["stdin"]):
            self._streams["stdin"] = _open_stdin()
        for name, stream in self._streams.items():
            if _is_closed(getattr(sys, name, None)):
                setattr(sys, name, stream)

    def flush(self) -> None:
        """Write everything that the streams have kept back until now."""
        for stream in self._routed:
            stream.finish()
        self._flush_others()

    def _flush_others(self) -> None:
        self.server.pass_on()
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if type(stream) is not RoutedStream:
                _flush(stream)
        _flush_stdio(None)


def _lead(path: str | None, to: int) -> None:
    """Let a standard descriptor lead to a pipe, or without a path to the same as standard
    output.
    """
    if path is None:
        os.dup2(1, to)
        return
    # O_NONBLOCK: if the model has put a pipe of its own there, do not wait for its reader
    fd = os.open(path, _WRITE)
    os.set_blocking(fd, True)
    os.dup2(fd, to)
    os.close(fd)


def _restore(fd: int, home: int | None) -> None:
    """Let a descriptor lead to the server's log again."""
    if home is None:
        _open_null(fd)
    else:
        os.dup2(home, fd)


def _disown() -> None:
    """Detach a forked child from the events of its parent's prediction, which it must not write. It
    keeps the descriptors.
    """
    if type(current.get()) is not DescriptorLog:
        current.set(None)


def _open_stdin() -> TextIO:
    return open(0, closefd=False)


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _is_closed(stream: Any) -> bool:
    try:
        return stream is None or bool(stream.closed)
    except Exception:  # the model's own object has no such attribute
        return False


def _open_null(fd: int) -> None:
    """Let a descriptor lead to the null device."""
    made = os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is mostly this one
    if made != fd:
        os.dup2(made, fd)
        os.close(made)
    os.set_inheritable(fd, True)


def _flush(stream: TextIO | None) -> None:
    """Flush a stream. Ignores errors, because a model may have closed or replaced it."""
    try:
        if stream is not None:
            stream.flush()
    except Exception:
        pass
