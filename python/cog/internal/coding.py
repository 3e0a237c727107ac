"""Turns what a model returns into JSON text, with its files apart in a file table."""

from __future__ import annotations

import json
import math
import os
import stat
import sys
from typing import Any, Callable

from cog.errors import OutputError

_stat, _fspath, _join, _basename, _realpath = os.stat, os.fspath, os.path.join, os.path.basename, os.path.realpath
_mkdir, _fsencode = os.mkdir, os.fsencode
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode
_isfinite = math.isfinite
_modules = sys.modules

#: Nesting beyond this is refused: no client could read it.
_MAX_DEPTH = 256

_MASK = "**********"


class FileTable:
    """The files of one output, by JSON pointer.

    ``directory`` makes the prediction's output directory, ``started`` is when the run began (seconds since the epoch).
    With ``snapshot`` contents are copied at once, because a model that yields may overwrite its file before anyone has
    read it.
    """

    def __init__(self, directory: Callable[[], str], started: float, snapshot: bool = False, first: int = 0) -> None:
        self.entries: list[dict[str, Any]] = []
        self._directory = directory
        self._started = started
        self._snapshot = snapshot
        self._next = first

    @property
    def next(self) -> int:
        """The number of the next subdirectory."""
        return self._next

    def add_path(self, pointer: str, path: str, where: str) -> None:
        """Enter a file of the model; raises OutputError when it is not a regular file."""
        try:
            info = _stat(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(f"{where} is the file {path}, which cannot be read: {reason}") from None
        if not stat.S_ISREG(info.st_mode):
            raise OutputError(f"{where} is {path}, which is not a regular file")
        if self._snapshot:
            import shutil  # only iterators of files need it

            copy = self._place(_basename(path))
            shutil.copyfile(path, copy)
            self._enter(pointer, copy, True)
        else:
            self._enter(pointer, _realpath(path), self._made_here(path, info))

    def add_stream(self, pointer: str, stream: Any, where: str) -> None:
        """Enter the contents of an open file or an in-memory one."""
        name = getattr(stream, "name", None)
        path = self._place(_basename(name) if isinstance(name, str) else "file")
        try:
            if stream.seekable():
                stream.seek(0)
            with open(path, "wb") as out:
                while True:
                    data = stream.read(1 << 20)
                    if not data:
                        break
                    out.write(data.encode("utf-8") if isinstance(data, str) else data)
        except (OSError, ValueError) as error:
            raise OutputError(f"{where} is an open file that cannot be read: {error}") from None
        self._enter(pointer, path, True)

    def _place(self, name: str) -> str:
        directory = _join(self._directory(), str(self._next))
        self._next += 1
        _mkdir(directory, 0o700)
        return _join(directory, name if name not in ("", ".", "..") else "file")

    def _enter(self, pointer: str, path: str, temporary: bool) -> None:
        self.entries.append({"pointer": pointer, "path": path, "temporary": temporary})

    def _made_here(self, path: str, info: os.stat_result) -> bool:
        """Whether the file was made by this run in the temporary directory: then nobody needs it afterwards."""
        return info.st_ctime >= self._started and _realpath(path).startswith(_temporary_directory() + "/")


def _temporary_directory() -> str:
    tempfile = _modules.get("tempfile")
    return _realpath(tempfile.gettempdir() if tempfile else os.environ.get("TMPDIR") or "/tmp")


def encode_output(value: Any, files: FileTable) -> bytes:
    """The JSON text of ``value`` in UTF-8; files become null and are entered in ``files``.

    Raises OutputError with the place of what is not JSON, such as ``output.boxes[0].x``.
    """
    try:
        return _bytes(_encode(value))
    except (TypeError, ValueError, RecursionError):
        pass  # not plain JSON values: walk through it
    try:
        return _bytes(_dumps(_Walk(files).plain(value, "output", "", 0)))
    except RecursionError:
        raise OutputError("the output is nested too deeply for JSON") from None


def _dumps(value: Any) -> str:
    try:
        return _encode(value)
    except ValueError:
        # Python 3.11 and later refuse to write integers of more than 4300 digits, as a guard against slow input.
        limit = getattr(sys, "set_int_max_str_digits", None)
        if limit is None:
            raise
        old = sys.get_int_max_str_digits()
        limit(0)
        try:
            return _encode(value)
        finally:
            limit(old)


def _bytes(text: str) -> bytes:
    """UTF-8 of ``text``; lone surrogates, which no JSON reader has to accept, become U+FFFD."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode("utf-8")


class _Walk:
    """Makes plain JSON values of what has a natural form in JSON."""

    def __init__(self, files: FileTable) -> None:
        self._files = files
        self._open: list[int] = []  # ids of the containers around the current value

    def plain(self, value: Any, where: str, pointer: str, depth: int) -> Any:
        if value is None or value is True or value is False:
            return value
        if isinstance(value, float):
            if not _isfinite(value):
                raise OutputError(f"not JSON: {_name(value)} at {where}")
            return float(value)
        simple = _simple(value)
        if simple:
            return simple[0]
        if depth > _MAX_DEPTH:
            raise OutputError(f"the output is nested too deeply for JSON at {where:.200}")
        if id(value) in self._open:
            raise OutputError(f"the output contains itself at {where}")
        self._open.append(id(value))
        try:
            return self._compound(value, where, pointer, depth)
        finally:
            self._open.pop()

    def _compound(self, value: Any, where: str, pointer: str, depth: int) -> Any:
        if isinstance(value, dict):
            return self._object(value.items(), where, pointer, depth)
        if isinstance(value, (list, tuple)):
            return self._list(value, where, pointer, depth)
        if isinstance(value, (set, frozenset)):
            return self._list(_sorted(value), where, pointer, depth)
        if isinstance(value, os.PathLike):
            self._files.add_path(pointer, os.fsdecode(_fspath(value)), where)
            return None
        if hasattr(value, "read") and hasattr(value, "seekable"):
            self._files.add_stream(pointer, value, where)
            return None
        found, inner = _unwrap(value)
        if found:
            return self.plain(inner, where, pointer, depth + 1)
        if hasattr(value, "__next__"):
            return self._list(list(value), where, pointer, depth)
        raise OutputError(
            f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which has no form in JSON"
        )

    def _object(self, items: Any, where: str, pointer: str, depth: int) -> dict[str, Any]:
        out = {}
        for key, item in items:
            name = _key(key, where)
            step = name.replace("~", "~0").replace("/", "~1")
            out[name] = self.plain(item, f"{where}.{name}", f"{pointer}/{step}", depth + 1)
        return out

    def _list(self, items: Any, where: str, pointer: str, depth: int) -> list[Any]:
        return [self.plain(item, f"{where}[{i}]", f"{pointer}/{i}", depth + 1) for i, item in enumerate(items)]


def _simple(value: Any) -> tuple[Any, ...]:
    """The plain form of a value without parts, as a tuple of one; empty for any other."""
    import datetime
    import decimal
    import enum
    import uuid

    if isinstance(value, enum.Enum):
        return (value.value,) if isinstance(value.value, (str, int, float, bool)) else ()
    if isinstance(value, str):
        return (str(value),)
    if isinstance(value, int):
        return (int(value),)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return (value.isoformat(),)
    if isinstance(value, datetime.timedelta):
        return (value.total_seconds(),)
    if isinstance(value, uuid.UUID):
        return (str(value),)
    if isinstance(value, decimal.Decimal) and value.is_finite():
        exponent = value.as_tuple().exponent
        return (int(value) if isinstance(exponent, int) and exponent >= 0 else float(value),)
    if hasattr(value, "get_secret_value"):
        return (_MASK,)
    return ()


def _unwrap(value: Any) -> tuple[bool, Any]:
    """One layer less of objects that know their own parts: enums, models, dataclasses, arrays."""
    if isinstance(value, type):
        return False, None
    kind = type(value)
    if "enum" in _modules and isinstance(value, _modules["enum"].Enum):
        return True, value.value
    for fields in ("__dataclass_fields__", "__cog_fields__"):
        if hasattr(kind, fields):  # not asdict(), which copies Paths and shows Secrets
            return True, {name: getattr(value, name) for name in getattr(kind, fields)}
    for dump in ("model_dump", "dict"):
        if hasattr(kind, dump) and (hasattr(kind, "model_fields") or hasattr(kind, "__fields__")):
            return True, getattr(value, dump)()
    if kind.__module__.split(".")[0] in ("numpy", "torch", "jax", "jaxlib", "tensorflow", "pandas", "cupy"):
        for convert in ("tolist", "to_list", "item"):
            if hasattr(value, convert):
                return True, getattr(value, convert)()
    return False, None


def _key(key: Any, where: str) -> str:
    """Object keys as ``json.dumps`` writes them; what it refuses is refused here with its place."""
    if isinstance(key, str):
        return key.value if hasattr(key, "value") and isinstance(key.value, str) else str(key)
    if key is None or isinstance(key, (bool, int, float)):
        return _encode({key: None})[2:-7]
    raise OutputError(f"a key of {where} is a {type(key).__qualname__}: JSON objects have texts as keys")


def _sorted(values: Any) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _name(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
