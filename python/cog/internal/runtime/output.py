"""Turns the output of a model into JSON text, and lists its files in a table of their own."""

from __future__ import annotations

import sys
from collections.abc import Mapping, MappingView, Sequence
from typing import Any, Callable

from cog.errors import OutputError
from cog.internal.contract.kinds import STARS, is_array, pointer_step, scalar
from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import math, os, stat
from cog.internal.wire.json_text import encode, text_json, utf8

_copy_range = getattr(os, "copy_file_range", None)  # Linux has it
_FILE_NAMES = "utf-8", "surrogateescape"
_modules = sys.modules

#: The encoder refuses deeper nesting, because clients could not read it.
_MAX_DEPTH = 256

#: The most digits of a whole Decimal that stays an integer. One with more becomes a float.
_MAX_DIGITS = 5000

#: The most bytes that one call asks the kernel to copy.
_AT_ONCE = 1 << 30

_ATOMS = frozenset((str, int, bool, type(None)))
_BYTES = (bytes, bytearray, memoryview)
_NUMBERS = (bool, int, float)


class FileTable:
    """The files of one output, by JSON pointer.

    ``directory`` makes the prediction's output directory and returns its path. ``made`` returns
    whether the run has made a file, so that nobody needs it afterwards. The server removes such a
    file after it has read it. If ``shared`` returns true, another run may need the file: then it is
    one of the ``originals``, which the runner removes.

    With ``snapshot`` each file is copied at once, because a model that yields may overwrite its
    file before the server has read it. A file that the run has made and that was copied is an
    original too.
    """

    def __init__(
        self,
        directory: Callable[[], str],
        made: Callable[[str, os.stat_result], bool] = lambda path, info: False,
        shared: Callable[[str], bool] = lambda path: False,
        snapshot: bool = False,
        first: int = 0,
    ) -> None:
        self.entries: list[dict[str, Any]] = []
        self.originals: list[str] = []
        self._directory = directory
        self._made = made
        self._shared = shared
        self._snapshot = snapshot
        self._next = first

    @property
    def next(self) -> int:
        """The number of the next subdirectory."""
        return self._next

    def add_path(self, pointer: str, path: str, where: str, fleeting: bool = False) -> None:
        """Enter a file of the model. Raises OutputError if it is not a regular file. A ``fleeting``
        file is copied at once, because the model may remove it at any time.
        """
        try:
            info = os.stat(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise OutputError(
                f"{where} is the file {path}, which cannot be read: {reason}"
            ) from None
        if not stat.S_ISREG(info.st_mode):
            raise OutputError(f"{where} is {path}, which is not a regular file")
        made = not fleeting and self._made(path, info)
        real = os.path.realpath(path)
        copied = self._snapshot or fleeting
        original = made and (copied or self._shared(real))
        if original:
            self.originals.append(real)
        if not copied:
            self._enter(pointer, real, made and not original, os.path.basename(path))
            return
        copy = self._place(os.path.basename(path))
        _copy(path, copy)
        self._enter(pointer, copy, True)

    def add_stream(self, pointer: str, stream: Any, where: str) -> None:
        """Enter the contents of an open file or of one in memory. Raises OutputError if they cannot
        be read.
        """
        name = getattr(stream, "name", None)
        if isinstance(name, str) and _shows(stream, name):
            _flush(stream)
            self.add_path(pointer, name, where, _goes_when_closed(stream))
            return
        path = self._place(os.path.basename(name) if isinstance(name, str) else "file")
        try:
            if not hasattr(stream, "seekable") or stream.seekable():
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
        directory = os.path.join(self._directory(), str(self._next))
        self._next += 1
        os.mkdir(directory, 0o700)
        return os.path.join(directory, name if name not in ("", ".", "..") else "file")

    def _enter(self, pointer: str, path: str, temporary: bool, name: str = "") -> None:
        entry = {"pointer": pointer, "path": path, "temporary": temporary}
        if name and name != os.path.basename(path):
            entry["name"] = name  # the name of the link that the model has returned
        self.entries.append(entry)


def _copy(path: str, to: str) -> None:
    """Copy the present contents of a regular file. Does not block if the file has become a pipe
    since, and stops at the present size if the file grows.
    """
    source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        target = os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            left = os.fstat(source).st_size
            while left > 0 and (done := _copy_some(source, target, left)):
                left -= done
        finally:
            os.close(target)
    finally:
        os.close(source)


def _copy_some(source: int, target: int, most: int) -> int:
    """Copy the next bytes and return their number, which is 0 at the end. Within one file system
    the kernel can copy without this process, and some file systems then share the blocks instead.
    """
    if _copy_range is not None:
        try:
            done: int = _copy_range(source, target, min(most, _AT_ONCE))
            if done:
                return done
        except OSError:
            pass
    data = memoryview(os.read(source, min(most, 1 << 20)))
    size = len(data)
    while data:
        data = data[os.write(target, data) :]
    return size


def _shows(stream: Any, name: str) -> bool:
    """Whether the name of an open file still leads to that file."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(name))
    except (OSError, ValueError, AttributeError):
        return False


def _goes_when_closed(stream: Any) -> bool:
    """Whether closing the object removes its file, which would happen before the server reads it.
    ``tempfile.NamedTemporaryFile`` is such an object.
    """
    return bool(getattr(getattr(stream, "_closer", None), "delete", False))


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (OSError, ValueError, AttributeError):
        pass  # it has no text that could be flushed


def encode_output(value: Any, files: FileTable) -> bytes:
    """Return the JSON text of ``value`` in UTF-8. A file becomes null and is entered in ``files``.

    Raises OutputError for a value that JSON cannot express, with its place, such as
    ``output.boxes[0].x``.
    """
    try:
        return text_json(value) if type(value) is str else utf8(encode(value))
    except (TypeError, ValueError, RecursionError):
        pass  # not plain JSON values: walk through it
    try:
        return utf8(_dumps(_Walk(files).plain(value, "output", "", 0)))
    except RecursionError:
        raise OutputError("the output is nested too deeply for JSON") from None


def _dumps(value: Any) -> str:
    try:
        return encode(value)
    except ValueError:
        # As a guard against slow input, Python 3.11 and later refuse to write integers of more than
        # 4300 digits.
        limit = getattr(sys, "set_int_max_str_digits", None)
        if limit is None:
            raise
        old = sys.get_int_max_str_digits()
        limit(0)
        try:
            return encode(value)
        finally:
            limit(old)


class _Walk:
    """Makes plain JSON values of all values that have a natural form in JSON."""

    def __init__(self, files: FileTable) -> None:
        self._files = files
        self._open: list[int] = []  # ids of the containers around the current value
        self._forms: dict[type, Callable[[Any], Any] | None] = {}  # looked up once for each type

    def plain(self, value: Any, where: str, pointer: str, depth: int) -> Any:
        kind = type(value)
        if kind in _ATOMS:
            return value
        if kind not in self._forms:
            self._forms[kind] = _form(kind)
        form = self._forms[kind]
        if form is not None:
            value = form(value)
            if type(value) is float and not math.isfinite(value):
                raise OutputError(f"not JSON: {_name(value)} at {where}")
            return value
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
        if isinstance(value, Mapping):
            return self._object(value.items(), where, pointer, depth)
        if isinstance(value, (list, tuple)):
            return self._list(value, where, pointer, depth)
        if isinstance(value, (set, frozenset)):
            return self._list(_sorted(value), where, pointer, depth)
        if isinstance(value, os.PathLike):
            path = os.fspath(value)
            self._files.add_path(
                pointer, path if isinstance(path, str) else path.decode(*_FILE_NAMES), where
            )
            return None
        if hasattr(value, "read") and hasattr(value, "seek"):
            self._files.add_stream(pointer, value, where)
            return None
        found, inner = _unwrap(value)
        if found:
            return self.plain(inner, where, pointer, depth + 1)
        if hasattr(value, "__next__"):
            return self._list(list(value), where, pointer, depth)
        if isinstance(value, (Sequence, MappingView)) and not isinstance(value, _BYTES):
            return self._list(value, where, pointer, depth)
        raise OutputError(
            f"{where} is a {type(value).__module__}.{type(value).__qualname__},"
            " which has no form in JSON"
        )

    def _object(self, items: Any, where: str, pointer: str, depth: int) -> dict[str, Any]:
        out = {}
        for key, item in items:
            name = _key(key, where)
            out[name] = self.plain(
                item, f"{where}.{name}", f"{pointer}/{pointer_step(name)}", depth + 1
            )
        return out

    def _list(self, items: Any, where: str, pointer: str, depth: int) -> list[Any]:
        return [
            item
            if type(item) in _ATOMS
            else self.plain(item, f"{where}[{i}]", f"{pointer}/{i}", depth + 1)
            for i, item in enumerate(items)
        ]


def _form(kind: type) -> Callable[[Any], Any] | None:
    """Return the function that makes a plain value of a value without parts, or None for other
    types.

    It is the function of the base class, because a subclass of ``str`` may override ``__str__``.
    """
    if _is(kind, "enum", "Enum"):
        return None
    for base, form in ((str, str.__str__), (int, int.__int__), (float, float.__float__)):
        if issubclass(kind, base):
            return form
    if any(_is(kind, "datetime", name) for name in ("date", "time")):
        return _iso
    if _is(kind, "datetime", "timedelta"):
        return _seconds
    if _is(kind, "uuid", "UUID"):
        return str
    if _is(kind, "decimal", "Decimal"):
        return _number
    return _stars if hasattr(kind, "get_secret_value") else None


def _is(kind: type, module: str, name: str) -> bool:
    """Whether a type derives from a class. If the model has not imported the class's module, it has
    no value of that class, so the answer is false.
    """
    base = getattr(_modules.get(module), name, None)
    return base is not None and issubclass(kind, base)


def _iso(value: Any) -> str:
    text: str = value.isoformat()
    return text


def _seconds(value: Any) -> float:
    seconds: float = value.total_seconds()
    return seconds


def _number(value: Any) -> int | float:
    """Return a Decimal as an exact integer if it is whole, else as a float. One with more than
    ``_MAX_DIGITS`` digits becomes a float too: as an integer, 1E+999999999 would fill the memory.
    """
    if value.is_nan():  # because float() refuses a signaling NaN
        return math.nan
    whole = value.is_finite() and value.as_tuple().exponent >= 0 and value.adjusted() < _MAX_DIGITS
    return int(value) if whole else float(value)


def _stars(value: Any) -> str:
    return STARS


def _unwrap(value: Any) -> tuple[bool, Any]:
    """Return whether an object knows its own parts, and those parts one layer deep. Such objects
    are enums, models, dataclasses and arrays.
    """
    if isinstance(value, type):
        return False, None
    kind = type(value)
    if _is(kind, "enum", "Enum"):
        return True, value.value
    for fields in ("__cog_fields__", "__dataclass_fields__"):
        if hasattr(kind, fields):  # not asdict(), which copies Paths and shows Secrets
            return True, {name: getattr(value, name) for name in getattr(kind, fields)}
    for dump in ("model_dump", "dict"):
        if hasattr(kind, dump) and (hasattr(kind, "model_fields") or hasattr(kind, "__fields__")):
            return True, getattr(value, dump)()
    if is_array(kind):
        for convert in ("tolist", "to_list", "item"):
            if hasattr(value, convert):
                return True, getattr(value, convert)()
    return False, None


def _key(key: Any, where: str) -> str:
    """Return an object key as ``json.dumps`` writes it. Raises OutputError, with the place, for
    keys that ``json.dumps`` refuses.
    """
    if isinstance(key, str):
        return key.value if hasattr(key, "value") and isinstance(key.value, str) else str(key)
    plain = key if key is None or isinstance(key, _NUMBERS) else _plain_key(key)
    if isinstance(plain, str):
        return plain
    if plain is None or isinstance(plain, _NUMBERS):
        return encode({plain: None})[2:-7]
    raise OutputError(
        f"a key of {where} is a {type(key).__qualname__}: JSON objects have strings as keys"
    )


def _plain_key(key: Any) -> Any:
    """Return the JSON form of a key: the value of an Enum, the number in a numpy scalar, the string
    of a date or a UUID.
    """
    if _is(type(key), "enum", "Enum"):
        key = key.value
    form = _form(type(key))
    return form(key) if form in (_iso, str) else scalar(key)


def _sorted(values: Any) -> list[Any]:
    try:
        return sorted(values)
    except TypeError:
        return list(values)


def _name(value: float) -> str:
    if value != value:  # noqa: PLR0124 - finds NaN without an import
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"
