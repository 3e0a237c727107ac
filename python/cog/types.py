"""The types that a model uses in its signatures."""

from __future__ import annotations

import io
import os
import pathlib
import sys
from _thread import allocate_lock as _lock
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, Union

from cog.errors import ExperimentalFeatureWarning
from cog.input import Input
from cog.internal.contract.fetched import decoding
from cog.internal.contract.kinds import STARS, is_url

_T = TypeVar("_T")

if TYPE_CHECKING:
    ConcatenateIterator = Iterator
    AsyncConcatenateIterator = AsyncIterator
else:

    class ConcatenateIterator(Iterator[_T]):
        """An iterator of text whose items belong together, such as the tokens of one answer."""

        @classmethod
        def validate(cls, value: Any) -> Any:
            """Accepted as it is; kept for models that call it."""
            return value

    class AsyncConcatenateIterator(AsyncIterator[_T]):
        """`ConcatenateIterator` for ``async def``."""

        @classmethod
        def validate(cls, value: Any) -> Any:
            """Accepted as it is; kept for models that call it."""
            return value


class Opaque:
    """Marker for ``Annotated[T, Opaque]``: an input that is passed on as JSON without looking at
    T.
    """


class _Described:
    """Lets pydantic models of the user have fields of our types, in pydantic 1 and 2, without
    importing it.
    """

    @classmethod
    def _accept(cls, value: Any) -> Any:
        raise NotImplementedError

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        core = sys.modules["pydantic_core"].core_schema
        return core.no_info_plain_validator_function(
            cls._accept,
            serialization=core.plain_serializer_function_ser_schema(lambda value: value),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> Any:
        return {"type": "string", "format": cls._format, **cls._mark}

    @classmethod
    def __get_validators__(cls) -> Iterator[Any]:
        yield cls._accept

    @classmethod
    def __modify_schema__(cls, field_schema: Any) -> None:
        field_schema.update({"type": "string", "format": cls._format, **cls._mark})

    _format = "uri"
    _mark: ClassVar[dict[str, bool]] = {
        "x-cog-file": True
    }  # other types of pydantic have this format too


class Path(_Described, type(pathlib.Path())):  # type: ignore[misc]
    """A file. As an input it has been downloaded before ``predict`` is called; as an output its
    contents are sent.
    """

    @classmethod
    def validate(cls, value: Any) -> Path:
        """Make a Path of a path or its text."""
        if isinstance(value, (str, os.PathLike)):
            return cls(value)
        raise ValueError(f"a path must be a string or a path, not {type(value).__name__}")

    @classmethod
    def _accept(cls, value: Any) -> Path:
        fetched = decoding.get()
        if fetched is not None and isinstance(value, str):
            fetched.check_text(value)
        return cls.validate(value)


class URLPath(Path):
    """A file that is known by its URL. The text, ``source``, ``filename`` and ``name`` are the
    URL's, for models that fetch it themselves. Everything else is that of a local file, which is
    downloaded once, when it is first asked for.
    """

    #: What is known without the file.
    _OF_URL: ClassVar[frozenset[str]] = frozenset(
        (
            "source",
            "filename",
            "name",
            "stem",
            "suffix",
            "suffixes",
            "convert",
            "unlink",
            "validate",
        )
        + ("_fileobj", "_local", "_lock", "_accept", "_format", "_mark", "_OF_URL")
    )

    source: str
    filename: str

    def __new__(cls, *args: Any, **options: Any) -> URLPath:
        made: URLPath = object.__new__(cls)
        return made

    def __init__(
        self, *args: Any, source: str = "", filename: str = "", fileobj: Any = None
    ) -> None:
        self.source = source
        self.filename = filename
        self._fileobj = fileobj
        self._local: Path | None = None
        self._lock = _lock()

    def __getattribute__(self, name: str) -> Any:
        """Also what pathlib itself asks for: which private parts a path has differs by version."""
        if name in URLPath._OF_URL or name.startswith("__"):
            return object.__getattribute__(self, name)
        return getattr(self.convert(), name)

    def convert(self) -> Path:
        """Download it once; returns the path of the local file."""
        with self._lock:
            if self._local is None:
                from cog.internal.contract.downloads import download

                contents = self._fileobj if self._fileobj is not None else URLFile(self.source)
                self._local = Path(download(contents, self.filename))
            return self._local

    def unlink(self, missing_ok: bool = False) -> None:
        """Remove the local file, if it was downloaded."""
        with self._lock:
            if self._local is not None:
                self._local.unlink(missing_ok)
                self._local = None

    @property
    def name(self) -> str:
        """The last part of the URL, and the name of the local file."""
        return self.filename

    @property
    def stem(self) -> str:
        return pathlib.PurePosixPath(self.filename).stem

    @property
    def suffix(self) -> str:
        return pathlib.PurePosixPath(self.filename).suffix

    @property
    def suffixes(self) -> list[str]:
        return pathlib.PurePosixPath(self.filename).suffixes

    def __fspath__(self) -> str:
        return os.fspath(self.convert())

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        return f"URLPath({self.source[:80]!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URLPath) and self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)

    def __reduce__(self) -> Any:
        return _url_path, (self.source, self.filename)


def _url_path(source: str, filename: str) -> URLPath:
    return URLPath(source=source, filename=filename)


class URLFile(io.IOBase):
    """The contents of a URL as a binary file, opened when it is first read. It can be pickled."""

    def __init__(self, url: str, filename: str | None = None) -> None:
        if not is_url(url):
            raise ValueError(f"an http, https or data URL is needed, not {url[:80]!r}")
        self._url = url
        self.name = filename or get_filename(url)
        self._opened: Any = None

    def _open(self) -> Any:
        """The response, and the file in it."""
        if self._opened is None:
            from cog.internal.contract.remote import (
                open_url,
            )  # urllib costs 30 ms, and most models never need it

            self._opened = open_url(self._url)
        return self._opened

    def read(self, size: int = -1) -> bytes:
        """Read from the file. Raises http.client.IncompleteRead where it breaks off."""
        data: bytes = self._open()[1].read(size)
        return data

    def readable(self) -> bool:
        return True

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._open()[1])

    def __next__(self) -> bytes:
        line: bytes = next(self._open()[1])
        return line

    def close(self) -> None:
        """Close the response; a later read opens it anew."""
        if getattr(self, "_opened", None) is not None:
            self._opened[1].close()
            self._opened = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        response, contents = self._open()
        return getattr(contents if hasattr(contents, name) else response, name)

    def __getstate__(self) -> Any:
        return {"url": self._url, "name": self.name}

    def __setstate__(self, state: Any) -> None:
        self.__init__(state["url"], state["name"])  # type: ignore[misc]

    def __repr__(self) -> str:
        return f"URLFile({self._url[:80]!r})"


class File(_Described, io.IOBase):
    """A file as an open binary file. Deprecated in favour of `Path`."""

    @classmethod
    def validate(cls, value: Any) -> Any:
        """Make an open file of a URL; an open file is passed on."""
        if isinstance(value, io.IOBase):
            return value
        if isinstance(value, str) and value.startswith("data:"):
            from urllib.request import urlopen

            return io.BytesIO(urlopen(value).read())  # noqa: S310 - a data URL stays in this process
        if isinstance(value, str):
            return URLFile(value)
        raise ValueError(f"a file must be a URL or an open file, not {type(value).__name__}")

    @classmethod
    def _accept(cls, value: Any) -> Any:
        fetched = decoding.get()
        if fetched is not None and isinstance(value, str):
            fetched.check_text(value)
        if fetched is not None and isinstance(value, os.PathLike) and fetched.has(os.fspath(value)):
            return open(value, "rb")
        return cls.validate(value)


class Secret(_Described):
    """A text that is never shown: not in logs, not in answers."""

    __slots__ = ("_value",)
    _format = "password"
    _mark: ClassVar[dict[str, bool]] = {"writeOnly": True}
    _value: str | None

    def __init__(self, secret_value: str | None = None) -> None:
        object.__setattr__(self, "_value", secret_value)

    def get_secret_value(self) -> str | None:
        """The text itself; None in a ``Secret()``."""
        return self._value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("a Secret cannot be changed")

    def __str__(self) -> str:
        return STARS if self._value else ""

    def __repr__(self) -> str:
        return f"Secret('{self}')"

    def __len__(self) -> int:
        return len(self._value or "")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __reduce__(self) -> Any:
        return Secret, (self._value,)

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: Any) -> Secret:
        return self

    @classmethod
    def _accept(cls, value: Any) -> Secret:
        if isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return cls(value)
        raise ValueError(f"a secret must be a string, not {type(value).__name__}")


Weights = Union[str, Path, File]


def get_filename(url: str) -> str:
    """The name of the file that a URL means: its last part, percent-decoded, or ``file`` with an
    extension by MIME type for a data URL.
    """
    from urllib.parse import unquote, urlparse

    parsed = urlparse(url)
    if parsed.scheme == "data":
        import mimetypes

        return "file" + (
            mimetypes.guess_extension(parsed.path.split(",", 1)[0].split(";", 1)[0]) or ""
        )
    name = os.path.basename(unquote(parsed.path))
    stem, extension = os.path.splitext(name)
    while len((stem + extension).encode()) > 200 and stem:
        stem = stem[:-1]
    return stem + extension


__all__: list[str] = [
    "AsyncConcatenateIterator",
    "ConcatenateIterator",
    "ExperimentalFeatureWarning",
    "File",
    "Input",
    "Opaque",
    "Path",
    "Secret",
    "URLFile",
    "URLPath",
    "Weights",
    "get_filename",
]
