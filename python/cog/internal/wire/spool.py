"""The Python half of the file protocol, which docs/protocol.md specifies.

No other Python code spells the name of a protocol file.
"""

from __future__ import annotations

from _thread import allocate_lock as _lock
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeVar

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import errno, os, re, signal, time
from cog.internal.wire.json_text import decode, encoded, text_json, text_pieces
from cog.internal.wire.large import decode_file

# Because the model may have put a pipe or a link in the place of a file, the runner does not wait
# for a pipe and does not follow a link.
_OWN = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
_READ = os.O_RDONLY | _OWN
_FRESH = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OWN
_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _OWN
_OVER = os.O_WRONLY | _OWN

_T = TypeVar("_T")

#: The version of the protocol that this runner speaks.
PROTOCOL = 1

_HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}").fullmatch

_REQUEST, _RESPONSE, _CANCEL, _EVENTS = "request-", "response-", "cancel-", "events-"
_LOGS = "logs"
_JSON, _LINES = ".json", ".jsonl"
_RESERVE = "reserve"

#: The bytes that are reserved for an answer on a full disk, and the seconds for which the runner
#: tries to write one without them.
_ROOM = 4096
_PATIENCE = 5.0
_FULL = (errno.ENOSPC, errno.EDQUOT)

#: Bytes. Most messages fit within the first limit; the runner refuses a message beyond the second.
_MOST = 4096
_MOST_NOTE = 4 << 30

#: Bytes. A longer message is mapped instead of read.
LARGE_INPUT = 256 << 10

#: An output that is a string of more characters, or that takes more bytes as JSON, gets a separate
#: file.
LARGE_OUTPUT = 1 << 20


def file_id(id: str) -> str:
    """Return the form of an id in file names: the id itself if it is harmless, else its hash."""
    if _HARMLESS(id):
        return id
    import hashlib  # local, because odd ids are rare

    return "~" + hashlib.sha256(id.encode("utf-8", "surrogatepass")).hexdigest()


def timestamp(seconds: float | None = None) -> str:
    """Return a time as RFC 3339 in UTC with microseconds. ``seconds`` counts from the epoch; the
    default is now.
    """
    micros = int((time.time() if seconds is None else seconds) * 1_000_000)
    whole, part = divmod(micros, 1_000_000)
    return f"{_second(whole)}.{part:06}+00:00"


def _second(whole: int) -> str:
    global _last_second
    if _last_second[0] != whole:
        t = time.gmtime(whole)
        _last_second = whole, f"{t[0]:04}-{t[1]:02}-{t[2]:02}T{t[3]:02}:{t[4]:02}:{t[5]:02}"
    return _last_second[1]


_last_second = -1, ""


class Request(NamedTuple):
    """A prediction to run, read from ``request-{id}.json``."""

    id: str
    method: str
    input: dict[str, Any]
    files: dict[str, str]  # JSON pointer → absolute path
    context: dict[str, str]
    trace: tuple[str | None, str | None] = (None, None)  # traceparent and tracestate
    # the server polls for the response for a while, so that it does not need a signal
    watched: bool = False


class Names(NamedTuple):
    """The names in the directory that concern the runner. Ids are in their form for file names."""

    requests: list[str]
    cancels: list[str]
    stop: bool


def sort_names(names: list[str]) -> Names:
    """Select the file names that concern the runner."""
    requests, cancels, stop = [], [], False
    for name in names:
        if name.startswith(_REQUEST):
            requests.append(name[len(_REQUEST) : -len(_JSON)])
        elif name.startswith(_CANCEL):
            cancels.append(name[len(_CANCEL) : -len(_JSON)])
        elif name == "stop":
            stop = True
    return Names(requests, cancels, stop)


class Spool:
    """The directory that the runner shares with its server."""

    def __init__(self, path: str, server: int) -> None:
        self.path = path
        self._server = server  # the parent at the start, which alone gets signals
        # true in a child that the model forked, which must not answer for the runner
        self.forked = False
        os.register_at_fork(after_in_child=self._in_child)
        self._prefix = path + "/"
        self._tmp = os.path.join(path, ".tmp") + "/"
        self._room = False
        self._listed: frozenset[str] = frozenset()

    def _in_child(self) -> None:
        self.forked = True

    # -- reading

    def look(self) -> Names:
        """List the directory."""
        names = sort_names(os.listdir(self.path))
        self._listed = frozenset(names.requests)
        return names

    def request(self, fid: str) -> Request | None:
        """Read a request. Returns None if it does not exist or was answered. Raises ValueError if
        it is malformed.

        The runner can see a request twice: in a list, and then in an event of inotify. The server
        removes the request before the response, so the runner checks for the response first.
        """
        if fid in self._listed and os.access(f"{self._prefix}{_RESPONSE}{fid}{_JSON}", os.F_OK):
            return None
        try:
            message = self._message(f"{_REQUEST}{fid}{_JSON}")
        except FileNotFoundError:
            return None
        files = _typed(message, "files", list)
        return Request(
            _typed(message, "id", str),
            _typed(message, "method", str),
            _typed(message, "input", dict),
            {
                _typed(entry, "pointer", str): self.absolute(_typed(entry, "path", str))
                for entry in files
            },
            _typed(message, "context", dict),
            (message.get("traceparent"), message.get("tracestate")),
            message.get("watched") is True,
        )

    def canceled(self, fid: str) -> bool:
        """Whether the server has canceled this prediction."""
        return os.access(f"{self._prefix}{_CANCEL}{fid}{_JSON}", os.F_OK)

    def taken(self, fid: str) -> bool:
        """Whether the server has read the response, after which it removes the request."""
        return not os.access(f"{self._prefix}{_REQUEST}{fid}{_JSON}", os.F_OK)

    def health_request(self) -> int | None:
        """Return the sequence number of the newest health request, or None if there is not one that
        can be read.
        """
        try:
            return _typed(self._message("health/request.json"), "sequence", int)
        except (OSError, ValueError):
            return None

    def absolute(self, path: str) -> str:
        """Resolve a path of a file table."""
        return path if os.path.isabs(path) else self._prefix + path

    # -- writing

    def put_schema(self, document: Mapping[str, Any]) -> None:
        """Write the model's OpenAPI document."""
        self._put("openapi.json", encoded(document))

    def put_setup_result(self, result: Mapping[str, Any]) -> None:
        """Write the result of loading and setup."""
        self._put("setup-result.json", encoded({"protocol": PROTOCOL, **result}))

    def put_response(
        self, fid: str, head: Mapping[str, Any], output: bytes | str, must: bool = False
    ) -> None:
        """Write the response of a prediction.

        ``output`` is JSON text as bytes, or a string that is encoded here. On a full disk, a short
        answer that ``must`` be written uses the space that `keep_room` has reserved.
        """
        path: str | None = None
        if isinstance(output, str) and len(output) < LARGE_OUTPUT:
            output = text_json(output)
        if isinstance(output, str) or len(output) > LARGE_OUTPUT:
            self.output_dir(fid)
            path = f"outputs/{fid}/output.json"
            self._put_parts(path, text_pieces(output) if isinstance(output, str) else (output,))
            output = b"null"
        text = encoded({**head, "output_path": path, "output": None})
        (self._put_somehow if must else self._put)(
            f"{_RESPONSE}{fid}{_JSON}", text[: -len(b"null}")] + output + b"}"
        )

    def keep_room(self) -> None:
        """Reserve space for one short answer, if there is none yet. Without it, an answer may be
        lost on a full disk.
        """
        if self._room:
            return
        try:
            fd = _open_fresh(self._prefix + _RESERVE)
            try:
                _write_all(fd, bytes(_ROOM))
            finally:
                os.close(fd)
            self._room = True
        except OSError:
            pass

    def _put_somehow(self, name: str, data: bytes) -> None:
        """Write into the reserved space, or wait until the server has freed some by reading other
        answers.
        """
        late = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._put(name, data)
            except OSError as error:
                if error.errno not in _FULL or time.monotonic() > late:
                    raise
            if self._room and len(data) <= _ROOM:
                self._room = False
                fd = os.open(self._prefix + _RESERVE, _OVER)
                try:
                    _write_all(fd, data)
                    os.ftruncate(fd, len(data))
                finally:
                    os.close(fd)
                return os.rename(self._prefix + _RESERVE, self._prefix + name)
            time.sleep(0.02)

    def put_health(self, sequence: int, error: str | None) -> None:
        """Answer a health request. ``error`` is None for a healthy model. Ignores errors of the
        disk, because the server notices that an answer is missing.
        """
        message = {"sequence": sequence, "healthy": error is None, "error": error}
        try:
            self._put("health/response.json", encoded(message))
        except OSError:
            pass

    def output_dir(self, fid: str) -> str:
        """Return the directory for a prediction's outputs. Makes it if it does not exist."""
        path = f"{self._prefix}outputs/{fid}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        return path

    def events(self, fid: str) -> Events:
        """Return the object that appends a prediction's events to their file."""
        return Events(self, f"{self._prefix}{_EVENTS}{fid}{_LINES}")

    @property
    def logs(self) -> str:
        """The pipe for the standard output and error of a prediction that runs alone."""
        return self._prefix + _LOGS

    def _put(self, name: str, data: bytes) -> None:
        self._put_parts(name, (data,))

    def _put_parts(self, name: str, parts: Iterable[bytes]) -> None:
        """Write a whole file, and rename it, so that its reader sees it complete or not at all."""
        if self.forked:
            os._exit(1)
        tmp = self._tmp + name.replace("/", "-")
        try:
            fd = _open_fresh(tmp)
            try:
                for part in parts:
                    _write_all(fd, part)
            finally:
                os.close(fd)
            try:
                os.rename(tmp, self._prefix + name)
            except IsADirectoryError:  # the model has made a directory of that name
                os.rmdir(self._prefix + name)
                os.rename(tmp, self._prefix + name)
        except OSError:
            try:
                os.unlink(tmp)  # the disk may be full: do not leave a part of the file on it
            except OSError:
                pass
            raise

    def _message(self, name: str) -> Any:
        """Return the value of a JSON file. Raises FileNotFoundError if it does not exist, and
        ValueError if it is too large or is not JSON.
        """
        fd = os.open(self._prefix + name, _READ)
        try:
            data = os.read(fd, _MOST)
            if len(data) < _MOST:
                # only the end of a regular file makes a short read
                return decode(data.decode("utf-8"))
            size = os.fstat(fd).st_size  # does not change, because the file was renamed into place
            if size > _MOST_NOTE:
                raise ValueError(
                    f"{name} is {size} bytes long, more than the limit of {_MOST_NOTE}"
                )
            if size > LARGE_INPUT:
                try:
                    return decode_file(fd, size)
                except (OSError, ImportError):
                    pass  # some file systems cannot map a file
            data = os.pread(fd, size, 0)
            while len(data) < size and (more := os.pread(fd, size - len(data), len(data))):
                data += more  # the kernel reads at most 2 GiB at once
            return decode(data.decode("utf-8"))
        finally:
            os.close(fd)

    # -- signals to the server

    def ready(self) -> None:
        """Signal that a slot became free."""
        self._signal(signal.SIGUSR1)

    def busy(self) -> None:
        """Signal that the last free slot was taken."""
        self._signal(signal.SIGUSR2)

    def look_here(self) -> None:
        """Signal that there is something new to read."""
        self._signal(signal.SIGHUP)

    def _signal(self, number: int) -> None:
        if self.forked:
            os._exit(1)
        try:
            os.kill(self._server, number)
        except ProcessLookupError:
            pass  # the server has exited; the kernel kills this process too


class Events:
    """Appends to one ``events-{id}.jsonl``, which the first event creates.

    Threads of the model may append too, even after the prediction has finished. Such an event is
    dropped, because the id may be another prediction's by then. Events of a child that the model
    has forked are dropped too.
    """

    def __init__(self, spool: Spool, path: str) -> None:
        self._spool = spool
        self._path = path
        self._guard = _lock()  # guards the fields below
        self._fd = -1
        self._closed = False
        self._unwritten = b""

    def append(self, lines: bytes) -> None:
        """Append whole lines, each with its newline. Bytes that a full disk refuses are kept and
        written before the next lines, because half a line may be in the file already.
        """
        # Checked before the guard, which another thread may have held at the moment of the fork.
        if self._spool.forked:
            return
        with self._guard:
            if self._closed:
                return
            self._unwritten += lines
            try:
                self._write()
            except OSError:
                pass

    def _write(self) -> None:
        if self._unwritten and self._fd < 0:
            self._fd = os.open(self._path, _APPEND, 0o600)
        while self._unwritten:
            self._unwritten = self._unwritten[os.write(self._fd, self._unwritten) :]

    def close(self) -> bool:
        """Close the file, and return whether there is one. Raises OSError if an event could not be
        written, which makes the prediction fail.
        """
        with self._guard:
            self._closed = True
            try:
                self._write()
            finally:
                fd, self._fd = self._fd, -1
                if fd >= 0:
                    os.close(fd)
            return fd >= 0


def output_event(chunk: bytes, files: list[dict[str, Any]]) -> bytes:
    """Return the line for one yielded item. ``chunk`` is JSON text."""
    table = encoded(files) if files else b"[]"
    return b'{"type":"output","chunk":' + chunk + b',"files":' + table + b"}\n"


def log_event(source: str, text: str, copy: bool = False) -> bytes:
    """Return the line for text that an async or batched model has written. A ``copy`` is in the
    events of another prediction too.
    """
    message = {"type": "log", "source": source, "data": text}
    return encoded({**message, "copy": True} if copy else message) + b"\n"


def metric_event(name: str, value: Any, mode: str, key: str, total: tuple[Any, ...]) -> bytes:
    """Return the line for a recorded metric. ``total`` contains the value of ``key`` after the
    record, and is empty if the key was deleted.
    """
    message = {"type": "metric", "name": name, "value": value, "mode": mode, "key": key}
    if total:
        message["total"] = total[0]
    return encoded(message) + b"\n"


def _typed(message: Any, key: str, kind: type[_T]) -> _T:
    """Return a value of a message. Raises ValueError if it is missing or has another type."""
    if type(message) is not dict or type(message.get(key)) is not kind:
        raise ValueError(f"{key!r} must be a {kind.__name__}")
    return message[key]  # type: ignore[no-any-return]


def _open_fresh(path: str) -> int:
    """Create a file. Replaces a file of that name, even one that the model has put there."""
    try:
        return os.open(path, _FRESH, 0o600)
    except FileExistsError:
        os.unlink(path)
        return os.open(path, _FRESH, 0o600)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
