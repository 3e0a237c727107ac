"""Watches a directory for new files: by inotify, else by kqueue, else by listing it every few
milliseconds.
"""

from __future__ import annotations

import sys

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os, struct, time
from cog.internal.wire import libc

_IN_MOVED_TO = 0x80
_IN_Q_OVERFLOW = 0x4000
_IN_IGNORED = 0x8000
_IN_CLOEXEC = 0o2000000
_IN_NONBLOCK = 0o4000
_HEAD = struct.calcsize("iIII")
_ROOM = 16384  # bytes, for about 60 of the longest names; the next read returns the rest

#: Call this between two checks for something that another process is about to do: it may need this
#: processor.
let_others_run = getattr(os, "sched_yield", lambda: None)  # Linux has it

#: Seconds between two listings where the system cannot report new files.
SCAN_INTERVAL = 0.003


class Watch:
    """Waits for new names in one directory. ``fd`` is readable when there are some; it is None if
    the system cannot report them.
    """

    fd: int | None = None

    def wait(self, awake_until: float = 0.0) -> list[str] | None:
        """Block until there are new names, and return them. Returns None if names may have been
        lost, so that the caller must list the directory. Raises OSError if the watch or the
        directory does not exist any more.

        Because waking up takes longer than polling, it polls instead of sleeping until
        ``awake_until``, a time of time.monotonic(), where that is possible.
        """
        raise NotImplementedError

    def wait_for(self, seconds: float) -> list[str] | None:
        """Wait like `wait`, but return an empty list if there are no new names within
        ``seconds``.
        """
        import select  # local, because only batches need it

        poll = select.poll()
        poll.register(self.fd or 0, select.POLLIN)
        return self.wait() if poll.poll(max(seconds, 0) * 1000) else []


class InotifyWatch(Watch):
    """Watches by inotify of the Linux kernel, see inotify(7)."""

    def __init__(self, path: str) -> None:
        self.fd = libc.call("inotify_init1", _IN_CLOEXEC | _IN_NONBLOCK)
        self._info = os.fstat(self.fd)
        libc.call("inotify_add_watch", self.fd, os.fsencode(path), _IN_MOVED_TO)

    def wait(self, awake_until: float = 0.0) -> list[str] | None:
        assert self.fd is not None
        if not os.path.samestat(os.fstat(self.fd), self._info):
            raise OSError(
                "the model has closed the watch, and its descriptor now belongs to another file"
            )
        data = _next(self.fd, awake_until)
        names, at = [], 0
        while at < len(data):
            _, mask, _, length = struct.unpack_from("iIII", data, at)
            if mask & _IN_Q_OVERFLOW:
                return None
            if mask & _IN_IGNORED:
                raise FileNotFoundError("the working directory does not exist any more")
            start = at + _HEAD
            names.append(
                data[start : start + length].rstrip(b"\0").decode("utf-8", "surrogateescape")
            )
            at = start + length
        return names


def _next(fd: int, awake_until: float) -> bytes:
    while True:
        try:
            return os.read(fd, _ROOM)
        except BlockingIOError:
            if time.monotonic() > awake_until:
                break
        let_others_run()
    os.set_blocking(fd, True)
    try:
        return os.read(fd, _ROOM)
    finally:
        os.set_blocking(fd, False)


class KqueueWatch(Watch):
    """Watches by kqueue, which reports that the directory has changed but not how."""

    def __init__(self, path: str) -> None:
        import select

        kq = getattr(select, "kqueue")()  # noqa: B009 - typeshed has it for other systems only
        event = getattr(select, "kevent")  # noqa: B009
        self._dir = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        # EVFILT_VNODE, EV_ADD and EV_CLEAR, NOTE_WRITE.
        kq.control([event(self._dir, filter=-4, flags=0x1 | 0x20, fflags=0x2)], 0, 0)
        self._kq = kq
        self.fd = kq.fileno()

    def wait(self, awake_until: float = 0.0) -> list[str] | None:
        self._kq.control([], 1, None)
        return None


class ScanWatch(Watch):
    """Makes the caller list the directory again and again, on systems and file systems that cannot
    report new files.
    """

    def wait(self, awake_until: float = 0.0) -> list[str] | None:
        time.sleep(SCAN_INTERVAL)
        return None

    def wait_for(self, seconds: float) -> list[str] | None:
        if seconds <= 0:
            return []
        time.sleep(min(SCAN_INTERVAL, seconds))
        return None


def watch(path: str) -> Watch:
    """Return the best watch that works on this system."""
    kinds = (InotifyWatch,) if sys.platform.startswith("linux") else (KqueueWatch,)
    for kind in kinds:
        try:
            return kind(path)
        except (OSError, AttributeError):
            continue  # the limit of inotify instances is reached, or the kernel is unusual
    return ScanWatch()
