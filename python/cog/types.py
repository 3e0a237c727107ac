"""The types that a model uses in its signatures, such as `Path` and `Secret`."""

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
        """An iterator of strings that clients join, such as the tokens of one answer."""

        @classmethod
        def validate(cls, value: Any) -> Any:
            """Return any value unchanged; kept for models that call it."""
            return value

    class AsyncConcatenateIterator(AsyncIterator[_T]):
        """`ConcatenateIterator` for ``async def``."""

        @classmethod
        def validate(cls, value: Any) -> Any:
            """Return any value unchanged; kept for models that call it."""
            return value


class Opaque:
    """Marks an input as ``Annotated[T, Opaque]``: it is passed on as JSON values, and T is not
    read.
    """


class _Described:
    """Lets pydantic models of the author have fields of our types, in pydantic 1 and 2, without an
    import of pydantic.
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
    # Marks files in the schema, because other types of pydantic have the format "uri" too.
    _mark: ClassVar[dict[str, bool]] = {"x-cog-file": True}


class Path(_Described, type(pathlib.Path())):  # type: ignore[misc]
    """A file. The server downloads an input before ``predict`` runs, and sends the contents of an
    output.
    """

    @classmethod
    def validate(cls, value: Any) -> Path:
        """Make a Path of a string or a path. Raises ValueError for other types."""
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
    """A file that is known by its URL. Its string, ``source``, ``filename`` and ``name`` come from
    the URL, for models that download it themselves. All other attributes are those of a local file,
    which is downloaded once, when one of them is first used.
    """

    #: The attributes that do not need the local file.
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
            *("_fileobj", "_local", "_lock", "_accept", "_format", "_mark", "_OF_URL"),
        )
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
        """Return an attribute, from the local file if the URL does not have it. Not
        ``__getattr__``, because pathlib itself reads private attributes, which differ by version.
        """
        if name in URLPath._OF_URL or name.startswith("__"):
            return object.__getattribute__(self, name)
        return getattr(self.convert(), name)

    def convert(self) -> Path:
        """Download the file, if that was not done, and return its local path. Raises the errors of
        `URLFile.read`.
        """
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
    """The contents of a URL as a binary file, which is opened when it is first read. It can be
    pickled. Raises ValueError if ``url`` is not an http, https or data URL.
    """

    def __init__(self, url: str, filename: str | None = None) -> None:
        if not is_url(url):
            raise ValueError(f"URLFile needs an http, https or data URL, not {url[:80]!r}")
        self._url = url
        self.name = filename or get_filename(url)
        self._opened: Any = None

    def _open(self) -> Any:
        """Return the response, and the file in it."""
        if self._opened is None:
            # Local, because importing urllib takes 30 ms and most models never need it.
            from cog.internal.contract.remote import open_url

            self._opened = open_url(self._url)
        return self._opened

    def read(self, size: int = -1) -> bytes:
        """Read up to ``size`` bytes, or all that are left. Raises http.client.IncompleteRead if the
        response breaks off, and the errors of `open_url` if the URL cannot be opened.
        """
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
        """Close the response. A later read opens the URL again."""
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
    """A file as an open binary file. Deprecated in favor of `Path`."""

    @classmethod
    def validate(cls, value: Any) -> Any:
        """Make an open file of a URL, or return an open file unchanged. Raises ValueError for other
        values.
        """
        if isinstance(value, io.IOBase):
            return value
        if isinstance(value, str) and value.startswith("data:"):
            from urllib.request import urlopen

            # A data URL does not leave this process.
            return io.BytesIO(urlopen(value).read())  # noqa: S310
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
    """A string that is never shown, neither in logs nor in answers."""

    __slots__ = ("_value",)
    _format = "password"
    _mark: ClassVar[dict[str, bool]] = {"writeOnly": True}
    _value: str | None

    def __init__(self, secret_value: str | None = None) -> None:
        object.__setattr__(self, "_value", secret_value)

    def get_secret_value(self) -> str | None:
        """Return the string, or None for a ``Secret()``."""
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
    """Return the name of the file at a URL: the last part of its path, percent-decoded and cut to
    200 bytes. For a data URL it is ``file`` with the extension of its MIME type.
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
