"""Downloads files for the model.

The process has its own directory for them below the temporary one, so that the model can rename and
link them. It removes the directory at its end. If the process is killed, the lock on the directory
becomes free, and the next process that downloads a file removes it.
"""

from __future__ import annotations

import atexit
import fcntl
import shutil
import tempfile
from typing import Any

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import os

_PREFIX = "cog-files-"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_own: str | None = None


def download(contents: Any, name: str) -> str:
    """Write the contents of an open file to a new file, and return its path. Its name is ``name``,
    or similar if that is not a valid name.
    """
    place = tempfile.mkdtemp(dir=_own_directory())
    base = os.path.basename(name)
    path = os.path.join(place, base if base.strip(".") else "file")
    try:
        with open(path, "xb") as out:
            shutil.copyfileobj(contents, out)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return path


def _own_directory() -> str:
    global _own
    if _own is None or not os.path.isdir(_own):  # the model may have removed it
        _sweep()
        _own = _make()
    return _own


def _make() -> str:
    """Make a directory and lock it for as long as this process lives."""
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX)
        fd = os.open(path, _DIRECTORY)
        if _lock(fd) is not False and _is_at(fd, path):
            atexit.register(_remove, path, os.getpid())
            return path
        os.close(fd)  # another process has removed it before it was locked


def _lock(fd: int) -> bool | None:
    """Lock a directory, and return whether its lock was free, or None if the file system does not
    have locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_at(fd: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except OSError:
        return False


def _remove(path: str, owner: int) -> None:
    if os.getpid() == owner:  # not in a forked child
        shutil.rmtree(path, ignore_errors=True)


def _sweep() -> None:
    """Remove the files of killed processes of this user."""
    for entry in os.scandir(tempfile.gettempdir()):
        if not entry.name.startswith(_PREFIX):
            continue
        try:
            fd = os.open(entry.path, _DIRECTORY)
        except OSError:  # it is not a directory, or it belongs to another user
            continue
        try:
            if os.fstat(fd).st_uid == os.geteuid() and _lock(fd):
                shutil.rmtree(entry.path, ignore_errors=True)
        finally:
            os.close(fd)
