"""Opens URLs as the server opens the URLs of inputs (internal/files): it decodes the contents. Its
errors name the URL without query and user, because both may be credentials.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from http.client import IncompleteRead
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote
from urllib.request import Request, urlopen

from cog.internal.pristine import builtins as __builtins__  # noqa: F401
from cog.internal.pristine import re

#: The bytes that one call reads.
_PIECE = 1 << 16


def open_url(url: str) -> tuple[Any, io.BufferedReader]:
    """Return the response of an http, https or data URL, and the file in it. Opening and reading
    raise the errors of urllib and http.client, and OSError if the contents cannot be decoded.
    """
    where = shown(url)
    response = None
    try:
        response = urlopen(_request(url))  # noqa: S310 - the scheme was checked
        pieces = _file_in(response)
    except Exception as error:
        if response is not None:
            response.close()
        raise named(error, where) from None
    return response, io.BufferedReader(_Contents(pieces, response, where), _PIECE)


def shown(url: str) -> str:
    """Return the request for a message, without the parts of its URL that may be secret."""
    if url.lstrip()[:5].lower() == "data:":
        return "data: URL"
    scheme, authority, rest = re.findall(r"(?s)([^:]*://)([^/?#]*)([^?#]*)", url)[0]
    return f"GET {scheme}{authority.rpartition('@')[2]}{rest}"


def named(error: Exception, where: str) -> Exception:
    """Add the URL to the text of an error, and return it. The class stays the same, for models that
    catch it.
    """
    inner = error.reason if isinstance(error, URLError) else None
    if isinstance(error, IncompleteRead):
        return _BrokenOff(error, where)
    if isinstance(error, HTTPError):
        error.msg = f"{error.msg}: {where}"
    elif isinstance(error, URLError) and isinstance(inner, Exception):
        error.reason = named(inner, where)
    elif isinstance(error, URLError):
        error.reason = f"{inner}: {where}"
    elif isinstance(error, OSError) and error.strerror:
        error.strerror = f"{error.strerror}: {where}"
    else:
        error.args = (f"{error}: {where}",)
    return error


class _BrokenOff(IncompleteRead):
    def __init__(self, error: IncompleteRead, where: str) -> None:
        super().__init__(error.partial, error.expected)
        self._where = where

    def __str__(self) -> str:
        left = "" if self.expected is None else f", {self.expected} bytes are missing"
        return f"IncompleteRead{left}: {self._where}"


def _request(url: str) -> Request:
    """Make a request for a URL. People write URLs with spaces, and with percent signs that do not
    begin an escape, so this escapes them. The server escapes the URLs of inputs by the same rule.
    urllib handles the host, but not a user.
    """
    head, rest = re.findall(r"(?s)(https?://[^/?#]*|data:.*)(.*)", url)[0]
    path = quote(re.sub("%(?![0-9A-Fa-f]{2})", "%25", rest), "%!$&'()*+,;=:@/?#")
    user, at, host = head.rpartition("@") if head.startswith("http") else ("", "", head)
    if not at:
        return Request(head + path)
    from base64 import b64encode

    scheme, _, user = user.partition("://")
    request = Request(f"{scheme}://{host}{path}")
    # Hosts that this one redirects to must not get the credentials.
    credentials = unquote(user if ":" in user else f"{user}:").encode()
    request.add_unredirected_header("Authorization", f"Basic {b64encode(credentials).decode()}")
    return request


def _file_in(response: Any) -> Iterator[bytes]:
    lines = response.headers.get_all("Content-Encoding") or []
    if not lines:
        return _sent(response)
    from cog.internal.contract.encodings import codings_of, decoded

    codings = codings_of(lines)
    return decoded(_sent(response), codings) if codings else _sent(response)


def _sent(response: Any) -> Iterator[bytes]:
    """Yield the bytes of a response. Raises IncompleteRead if bytes are missing. http.client itself
    checks that only when it reads all at once.
    """
    while True:
        piece = response.read(_PIECE)
        if not piece:
            break
        yield piece
    left = getattr(response, "length", None)
    if left:
        raise IncompleteRead(b"", left)


class _Contents(io.RawIOBase):
    """Makes a file of pieces. Closing it closes the response."""

    def __init__(self, pieces: Iterator[bytes], response: Any, where: str) -> None:
        self._pieces = pieces
        self._response = response
        self._where = where
        self._rest = b""
        self._error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # because the next read would take the end of the pieces for the end of the file
        if self._error is not None:
            raise self._error
        try:
            while not self._rest:
                self._rest = next(self._pieces)
        except StopIteration:
            return 0
        except Exception as error:
            self._error = named(error, self._where)
            raise self._error from None
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def close(self) -> None:
        self._response.close()
        super().close()
