"""A strict reader of server-sent events."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Any, NamedTuple


class Event(NamedTuple):
    """One event; ``text`` is its data as it came, lines joined as the specification says."""

    name: str
    text: str
    id: str

    @property
    def data(self) -> Any:
        return json.loads(self.text)


def chunks(events: Iterable[Event]) -> list[Any]:
    """Return the items of the output that events have."""
    return [event.data["chunk"] for event in events if event.name == "output"]


class Stream:
    """An open answer. Iterating gives its events; comments are kept separately."""

    def __init__(
        self,
        port: int,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        timeout: float = 30,
    ) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        given = {"Accept": "text/event-stream", **(headers or {})}
        if body is not None:
            given.setdefault("Content-Type", "application/json")
        self._connection.request(method, path, None if body is None else json.dumps(body), given)
        self._socket: socket.socket = self._connection.sock
        self.response = self._connection.getresponse()
        self.status = self.response.status
        self.headers = {name.lower(): value for name, value in self.response.getheaders()}
        self.comments: list[str] = []

    def __iter__(self) -> Iterator[Event]:
        fields: dict[str, list[str]] = {}
        for raw in self.response:
            line = raw.decode("utf-8")
            assert line.endswith("\n"), f"half a line: {line!r}"
            line = line[:-1]
            if line.startswith(":"):
                self.comments.append(line[1:].strip())
            elif line:
                name, _, value = line.partition(":")
                assert name in ("event", "data", "id"), line
                fields.setdefault(name, []).append(value.removeprefix(" "))
            elif fields:
                yield Event(
                    fields.get("event", [""])[-1],
                    "\n".join(fields["data"]),
                    fields.get("id", [""])[-1],
                )
                fields = {}
        assert not fields, f"half an event: {fields}"

    def until(self, name: str) -> list[Event]:
        """Return the events up to the next one named ``name``."""
        seen = []
        for event in self:
            seen.append(event)
            if event.name == name:
                return seen
        raise AssertionError(f"the stream ended before {name}: {seen[-5:]}")

    def close(self) -> None:
        """Disconnect, even if more events are due."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:  # the server has closed it
            pass
        self.response.close()
        self._connection.close()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
