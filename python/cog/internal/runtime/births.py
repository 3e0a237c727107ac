"""Tells the files that a run has made from those that were there before, and removes them once
nobody needs them.

The birth of a file says that, and nothing else does: its other times change when it is written,
renamed or linked. The kernel stamps files by a clock that stands still for some milliseconds, so a
run begins only when every file to come is stamped later than every file that is there.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Callable, NamedTuple

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import ctypes, os, struct, time
from cog.internal.wire import libc

_modules = sys.modules  # also if the model replaces it
_memfd = getattr(os, "memfd_create", None)

#: CLOCK_REALTIME_COARSE on Linux, by which it stamps files. Python has no name for it.
_COARSE = 5 if sys.platform == "linux" else time.CLOCK_REALTIME

#: Seconds between two looks at that clock, and how many show that it has been set back.
_LOOK = 0.0005
_LOOKS = 100

_NOTHING: frozenset[tuple[int, int]] = frozenset()

_AT_FDCWD, _STATX_BTIME, _STATX_SIZE = -100, 0x800, 256


class Beginning(NamedTuple):
    """The beginning of a run. What was born at ``stamp`` or later, in nanoseconds since the epoch,
    was not there before.
    """

    number: int
    stamp: int
    exact: bool  # whether no clock has to reach that moment first
    given: frozenset[
        tuple[int, int]
    ]  # device and inode of the files that came with the request: they are the run's too
    names: (
        frozenset[str] | None
    )  # in the temporary directory, where its file system tells no births


#: The beginning of a run that returns no files: none is its own, and it is not counted.
_MAKES_NONE = Beginning(-1, sys.maxsize, True, _NOTHING, None)


class _Left(NamedTuple):
    """A file that a run has made and returned while others ran."""

    since: int  # runs with a lower number had begun before that one ended: they may return the file too
    free: Callable[[], bool]  # whether the server has its contents
    info: os.stat_result


class Births:
    """Knows the runs of this process and what they leave. Used from the thread that runs them."""

    def __init__(self, model: str = "") -> None:
        self._model = (
            os.path.realpath(model) + "/" if model else ""
        )  # its directory, whose files nobody removes
        self._next = 0
        self._live: dict[int, None] = {}  # numbers of runs that have not ended, in order
        self._left: dict[str, _Left] = {}
        self._marker = -1
        self._marked: os.stat_result | None = None
        self._tells: dict[str, bool] = {}  # whether births can be seen, by temporary directory

    # -- runs

    def begin(self, paths: Mapping[str, str], files: bool) -> Beginning:
        """A run begins, with the files of its request. ``files`` is False if it returns none; else
        it may make some once `wait` or `looks` is over.
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
        """Seconds to wait, again and again, until every file to come is younger than the run.
        Mostly none.
        """
        for _ in range(_LOOKS):
            if began.exact or time.clock_gettime_ns(_COARSE) >= began.stamp:
                return
            yield _LOOK

    def wait(self, began: Beginning) -> None:
        """Wait like that in this thread."""
        if began.exact:
            return
        for seconds in self.looks(began):
            time.sleep(seconds)

    def shared(self, path: str) -> bool:
        """Whether other runs can have made a file too that one returns, or can have returned it."""
        return len(self._live) > 1 or path in self._left

    def end(self, began: Beginning, made: list[tuple[str, Callable[[], bool]]]) -> None:
        """A run has ended. Of the files that it has ``made`` each is removed once no other run can
        return it and the server does not need it any more, as the function beside it says.
        """
        self._live.pop(began.number, None)
        for path, free in made:
            info = _info(path)
            if info is not None:
                self._left[path] = _Left(self._next, _both(self._left.get(path), free), info)
        if self._left:
            self._tidy()

    def close(self) -> None:
        """Remove all that is left: no run comes any more."""
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
        """Whether a file in the temporary directory is one of the run's own, so that nobody needs
        it afterwards. None is in the directory of the model, which may lie there too.
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
            return (
                began.stamp <= born <= time.clock_gettime_ns(time.CLOCK_REALTIME)
            )  # a server of files may have another clock
        # Its name is new in this run, and so are its contents.
        name = path[len(directory) :].partition("/")[0]
        return (
            began.names is not None and name not in began.names and info.st_mtime_ns >= began.stamp
        )

    def _touch(self) -> int:
        """The time of a file that is touched; 0 where there can be none. Since Linux 6.13 it is
        exact when somebody has looked at a time of the file since the clock of files has moved, and
        no file is stamped earlier after that.
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
    """When a file was made, in nanoseconds since the epoch; None where the system or the file
    system does not tell.
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
    """The temporary directory of the model."""
    chosen = getattr(
        _modules.get("tempfile"), "tempdir", None
    )  # None until the model has used tempfile
    return str(chosen or os.environ.get("TMPDIR") or "/tmp")


def _info(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except (OSError, ValueError):
        return None


def _both(earlier: _Left | None, free: Callable[[], bool]) -> Callable[[], bool]:
    return free if earlier is None else lambda: free() and earlier.free()


def _remove(path: str, left: _Left) -> None:
    """Remove a file, unless it is another by now, or was written since: then it is somebody
    else's.
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
        pass  # it goes with the temporary directory
