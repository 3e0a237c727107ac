"""Learns of new files in a directory: by inotify, else by kqueue, else by looking every few
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
_ROOM = 16384  # for some 60 of the longest names; the rest is read the next time

#: What to do between two looks at something that is about to come: whoever makes it may need this
#: processor.
let_others_run = getattr(os, "sched_yield", lambda: None)  # Linux has it

#: Seconds between two looks where the system can't tell of new files.
SCAN_INTERVAL = 0.003


class Watch:
    """New names in one directory. ``fd`` is readable when there are some, or None where that is not
    known.
    """

    fd: int | None = None

    def wait(self, awake_until: float = 0.0) -> list[str] | None:
        """Block until something is new and return the names; None means that names were lost and
        the directory has to be listed. OSError when the watch or the directory is gone. Until the
        moment ``awake_until`` of time.monotonic() it looks again and again instead of sleeping,
        where that is possible: to be woken takes longer.
        """
        raise NotImplementedError

    def wait_for(self, seconds: float) -> list[str] | None:
        """Like `wait`, but return no names when nothing was new for that long."""
        import select  # batches alone need it

        poll = select.poll()
        poll.register(self.fd or 0, select.POLLIN)
        return self.wait() if poll.poll(max(seconds, 0) * 1000) else []


class InotifyWatch(Watch):
    """By the Linux kernel, see inotify(7)."""

    def __init__(self, path: str) -> None:
        self.fd = libc.call("inotify_init1", _IN_CLOEXEC | _IN_NONBLOCK)
        self._info = os.fstat(self.fd)
        libc.call("inotify_add_watch", self.fd, os.fsencode(path), _IN_MOVED_TO)

    def wait(self, awake_until: float = 0.0) -> list[str] | None:
        assert self.fd is not None
        if not os.path.samestat(os.fstat(self.fd), self._info):
            raise OSError(
                "the model has closed the watch, and its descriptor is another file's now"
            )
        data = _next(self.fd, awake_until)
        names, at = [], 0
        while at < len(data):
            _, mask, _, length = struct.unpack_from("iIII", data, at)
            if mask & _IN_Q_OVERFLOW:
                return None
            if mask & _IN_IGNORED:
                raise FileNotFoundError("the working directory is gone")
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
    """By kqueue, which tells that the directory changed but not how."""

    def __init__(self, path: str) -> None:
        import select

        kq = getattr(select, "kqueue")()  # noqa: B009 - typeshed has it for other systems only
        event = getattr(select, "kevent")  # noqa: B009
        self._dir = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        kq.control(
            [event(self._dir, filter=-4, flags=0x1 | 0x20, fflags=0x2)], 0, 0
        )  # vnode, add and clear, write
        self._kq = kq
        self.fd = kq.fileno()

    def wait(self, awake_until: float = 0.0) -> list[str] | None:
        self._kq.control([], 1, None)
        return None


class ScanWatch(Watch):
    """By looking again and again; for systems and file systems that tell nothing."""

    def wait(self, awake_until: float = 0.0) -> list[str] | None:
        time.sleep(SCAN_INTERVAL)
        return None

    def wait_for(self, seconds: float) -> list[str] | None:
        if seconds <= 0:
            return []
        time.sleep(min(SCAN_INTERVAL, seconds))
        return None


def watch(path: str) -> Watch:
    """The best watch that works here."""
    kinds = (InotifyWatch,) if sys.platform.startswith("linux") else (KqueueWatch,)
    for kind in kinds:
        try:
            return kind(path)
        except (OSError, AttributeError):
            continue  # no inotify instance left, or an odd kernel
    return ScanWatch()
