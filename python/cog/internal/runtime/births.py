"""Tells the files that a run has made from those that existed before, and removes them once nobody
needs them.

Only a file's birth tells that, because its other times change when it is written, renamed or
linked. The kernel stamps files by a clock that advances once in some milliseconds. So a run begins
only when each new file will have a later stamp than each existing one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Callable, NamedTuple

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import ctypes, os, struct, time
from cog.internal.wire import libc

_modules = sys.modules  # kept, because a model may replace sys.modules
_memfd = getattr(os, "memfd_create", None)

#: CLOCK_REALTIME_COARSE on Linux, the clock that stamps files. Python does not name it.
_COARSE = 5 if sys.platform == "linux" else time.CLOCK_REALTIME

#: Seconds between two reads of that clock. If it is still too early after so many reads, it has
#: been set back, and the run begins anyway.
_LOOK = 0.0005
_LOOKS = 100

_NOTHING: frozenset[tuple[int, int]] = frozenset()

_AT_FDCWD, _STATX_BTIME, _STATX_SIZE = -100, 0x800, 256


class Beginning(NamedTuple):
    """The beginning of a run. A file that was born at ``stamp`` or later, in nanoseconds since the
    epoch, did not exist before.
    """

    number: int
    stamp: int
    exact: bool  # whether the run need not wait for a clock to reach that moment
    # Device and inode of the files that came with the request, which belong to the run too.
    given: frozenset[tuple[int, int]]
    # The names in the temporary directory, if its file system does not record births.
    names: frozenset[str] | None


#: The beginning of a run that does not return files. It owns none, and does not count as a live
#: run.
_MAKES_NONE = Beginning(-1, sys.maxsize, True, _NOTHING, None)


class _Left(NamedTuple):
    """A file that a run has made and returned while others ran."""

    # Runs with a lower number began before that one ended, so they may return the file too.
    since: int
    free: Callable[[], bool]  # whether the server has read it
    info: os.stat_result


class Births:
    """Knows the runs of this process and the files that they leave. Used from the thread that runs
    them.
    """

    def __init__(self, model: str = "") -> None:
        # The directory of the model, whose files are never removed.
        self._model = os.path.realpath(model) + "/" if model else ""
        self._next = 0
        self._live: dict[int, None] = {}  # numbers of runs that have not ended, in order
        self._left: dict[str, _Left] = {}
        self._marker = -1
        self._marked: os.stat_result | None = None
        # by temporary directory: whether its file system records births
        self._tells: dict[str, bool] = {}

    # -- runs

    def begin(self, paths: Mapping[str, str], files: bool) -> Beginning:
        """Begin a run, with the paths of the files of its request. ``files`` tells whether it can
        return files. If so, it may make them only after `wait`, or after the end of `looks`.
        """
        if self._left:
            self._tidy()
        if not files:
            return _MAKES_NONE
        number, self._next = self._next, self._next + 1
        self._live[number] = None
        given = _NOTHING
        if paths:
            given = frozenset(
                (info.st_dev, info.st_ino)
                for info in map(_info, paths.values())
                if info is not None
            )
        now = time.clock_gettime_ns(time.CLOCK_REALTIME)
        touched = self._touch()
        if touched < now:
            touched = self._touch()
        return Beginning(number, max(now, touched), touched >= now, given, self._names())

    def looks(self, began: Beginning) -> Iterator[float]:
        """Yield the seconds to sleep, again and again, until each new file will be younger than the
        run. Mostly yields nothing.
        """
        for _ in range(_LOOKS):
            if began.exact or time.clock_gettime_ns(_COARSE) >= began.stamp:
                return
            yield _LOOK

    def wait(self, began: Beginning) -> None:
        """Sleep in this thread for the times that `looks` yields."""
        if began.exact:
            return
        for seconds in self.looks(began):
            time.sleep(seconds)

    def shared(self, path: str) -> bool:
        """Whether another run may have made or returned the file that a run returns."""
        return len(self._live) > 1 or path in self._left

    def end(self, began: Beginning, made: list[tuple[str, Callable[[], bool]]]) -> None:
        """End a run that has ``made`` files. Each is removed once no other run can return it, and
        its function says that the server does not need it any more.
        """
        self._live.pop(began.number, None)
        for path, free in made:
            info = _info(path)
            if info is not None:
                self._left[path] = _Left(self._next, _both(self._left.get(path), free), info)
        if self._left:
            self._tidy()

    def close(self) -> None:
        """Remove all files that are left, after the last run."""
        for path, left in self._left.items():
            _remove(path, left)
        self._left = {}

    def _tidy(self) -> None:
        oldest = next(iter(self._live), self._next)
        for path, left in list(self._left.items()):
            if oldest >= left.since and left.free():
                _remove(path, left)
                del self._left[path]

    # -- births

    def made(self, path: str, info: os.stat_result, began: Beginning) -> bool:
        """Whether the run has made a file in the temporary directory, so that nobody needs it
        afterwards. False for files in the directory of the model, which may be there too.
        """
        path, directory = os.path.realpath(path), os.path.realpath(_temporary()) + "/"
        if not path.startswith(directory):
            return False
        if self._model.startswith(directory) and path.startswith(self._model):
            return False
        if (info.st_dev, info.st_ino) in began.given:
            return True
        born = birth(path)
        if born is not None:
            # A birth in the future comes from a file server with another clock.
            return began.stamp <= born <= time.clock_gettime_ns(time.CLOCK_REALTIME)
        # Without births: the run's own file has a new name and new contents.
        name = path[len(directory) :].partition("/")[0]
        return (
            began.names is not None and name not in began.names and info.st_mtime_ns >= began.stamp
        )

    def _touch(self) -> int:
        """Touch a file in memory and return its time in nanoseconds, or 0 if there cannot be such a
        file. Since Linux 6.13 this time is exact if a process has read a time of the file since the
        clock of files advanced. The kernel does not stamp files earlier than that from then on.
        """
        try:
            if self._marked is None or not os.path.samestat(os.fstat(self._marker), self._marked):
                raise OSError("the model has closed it")
            os.utime(self._marker)
        except OSError:
            if not self._make_marker():
                return 0
        return os.fstat(self._marker).st_ctime_ns

    def _make_marker(self) -> bool:
        if _memfd is None:
            return False
        try:
            self._marker = _memfd("cog-births")
            self._marked = os.fstat(self._marker)
            os.utime(self._marker)
        except OSError:
            return False
        return True

    def _names(self) -> frozenset[str] | None:
        directory = _temporary()
        if directory not in self._tells:
            self._tells[directory] = birth(directory) is not None
        if self._tells[directory]:
            return None
        try:
            return frozenset(os.listdir(directory))
        except OSError:
            return frozenset()


def birth(path: str) -> int | None:
    """Return when a file was made, in nanoseconds since the epoch, or None if the system or the
    file system does not record it.
    """
    if sys.platform != "linux":
        moment = getattr(_info(path), "st_birthtime", None)
        return None if moment is None else int(moment * 1e9)
    found = ctypes.create_string_buffer(_STATX_SIZE)
    try:
        libc.call("statx", _AT_FDCWD, os.fsencode(path), 0, _STATX_BTIME, found)
    except (OSError, AttributeError):
        return None
    if not struct.unpack_from("=I", found, 0)[0] & _STATX_BTIME:
        return None
    seconds, nanoseconds = struct.unpack_from("=qI", found, 80)
    return int(seconds * 1_000_000_000 + nanoseconds)


def _temporary() -> str:
    """Return the temporary directory of the model."""
    # None until the model has used tempfile.
    chosen = getattr(_modules.get("tempfile"), "tempdir", None)
    return str(chosen or os.environ.get("TMPDIR") or "/tmp")


def _info(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _both(earlier: _Left | None, free: Callable[[], bool]) -> Callable[[], bool]:
    return free if earlier is None else lambda: free() and earlier.free()


def _remove(path: str, left: _Left) -> None:
    """Remove a file, unless it has been replaced or written since: then it belongs to somebody
    else.
    """
    info = _info(path)
    if (
        info is None
        or not os.path.samestat(info, left.info)
        or info.st_ctime_ns != left.info.st_ctime_ns
    ):
        return
    try:
        os.unlink(path)
    except OSError:
        pass  # it is removed with the temporary directory
