"""An HTTP/2 client with prior knowledge that can be slow, odd and hostile."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Callable

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import hpack
from hyperframe.frame import Frame, HeadersFrame

from http_harness import Answer

#: The bytes that a client sends before its first frame.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Stream:
    """The state of one request."""

    def __init__(self, id: int) -> None:
        self.id = id
        self.headers: dict[str, str] = {}
        self.body = bytearray()  # grows in place, where bytes would be copied for each frame
        self.ended = False
        self.reset: int | None = None

    @property
    def status(self) -> int:
        return int(self.headers.get(":status", 0))

    def answer(self) -> Answer:
        return Answer(self.status, self.headers, bytes(self.body))


class Http2:
    """One connection. ``window`` is the flow-control window of each answer. It is renewed while
    ``takes`` says so.
    """

    def __init__(
        self, port: int, window: int = 1 << 20, takes: Callable[[int], bool] = lambda id: True
    ) -> None:
        self.port = port
        self.streams: dict[int, Stream] = {}
        self.goaway: int | None = None
        self.closed = False
        self.takes = takes
        config = h2.config.H2Configuration(
            client_side=True,
            header_encoding="utf-8",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})
        self.h2.increment_flow_control_window((1 << 30) - 65535)
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.send()

    def send(self, more: bytes = b"") -> None:
        """Send all pending data, and ``more``."""
        try:
            self.socket.sendall(self.h2.data_to_send() + more)
        except (
            BrokenPipeError,
            ConnectionResetError,
        ):  # the data that the server sent before it hung up can still be read
            self.closed = True

    def open(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        end: bool = True,
        authority: str | None = None,
    ) -> Stream:
        """Send the head of a request, with the headers unchanged. ``end`` says that there is no
        body.
        """
        stream = Stream(self.h2.get_next_available_stream_id())
        self.streams[stream.id] = stream
        self.h2.send_headers(stream.id, self.head(method, path, headers, authority), end_stream=end)
        self.send()
        return stream

    def head(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[str, str]] = (),
        authority: str | None = None,
    ) -> list[tuple[str, str]]:
        name = f"127.0.0.1:{self.port}" if authority is None else authority
        host = [(":authority", name)] if name else []
        return [(":method", method), (":scheme", "http"), *host, (":path", path), *headers]

    def body(self, stream: Stream, data: bytes, end: bool = True) -> None:
        """Send a body as fast as the server reads it, and stop when it answers."""
        while data and not (stream.ended or self.closed or stream.reset is not None):
            room = min(
                self.h2.local_flow_control_window(stream.id),
                self.h2.max_outbound_frame_size,
                len(data),
            )
            if not room:
                self.receive()
                continue
            self.h2.send_data(stream.id, data[:room])
            data = data[room:]
            self.send()
        if end and not (data or self.closed or stream.reset is not None):
            self.h2.end_stream(stream.id)
            self.send()

    def begin(self, method: str, path: str, body: Any = None, **headers: str) -> Stream:
        """Send a whole request; underscores in header names are dashes."""
        given = {name.replace("_", "-").lower(): value for name, value in headers.items()}
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            given.setdefault("content-type", "application/json")
        if body is not None:
            given.setdefault("content-length", str(len(body)))
        authority = given.pop("host", None)
        stream = self.open(method, path, given.items(), end=body is None, authority=authority)
        if body is not None:
            self.body(stream, body)
        return stream

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """Send one request and return its answer."""
        return self.finish(self.begin(method, path, body, **headers))

    def finish(self, stream: Stream) -> Answer:
        """Return the answer on a stream, once it is complete."""
        self.until(lambda: stream.ended)
        assert stream.ended, (
            f"no answer: reset {stream.reset}, goaway {self.goaway}, closed {self.closed}"
        )
        return stream.answer()

    def reset(self, stream: Stream) -> None:
        self.h2.reset_stream(stream.id, h2.errors.ErrorCodes.CANCEL)
        self.send()

    def until(self, done: Callable[[], Any]) -> None:
        """Read until a condition holds, or until nothing more can come."""
        while not done() and self.receive():
            pass

    def until_closed(self) -> None:
        self.until(lambda: False)
        assert self.closed

    def receive(self) -> bool:
        """Read some data; return False when the server has hung up."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.closed = self.closed or not data
        if data:
            for event in self.h2.receive_data(data):
                self._take(event)
            self.send()
        return bool(data)

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ConnectionTerminated):
            self.goaway = int(event.error_code or 0)
        stream = self.streams.get(getattr(event, "stream_id", None) or 0)
        if stream is None:
            return
        if isinstance(event, h2.events.ResponseReceived):
            stream.headers = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            stream.body += event.data
            self._renew(event)
        elif isinstance(event, h2.events.StreamEnded):
            stream.ended = True
        elif isinstance(event, h2.events.StreamReset):
            stream.reset = int(event.error_code)

    def _renew(self, event: h2.events.DataReceived) -> None:
        size = event.flow_controlled_length
        if not size:
            return
        if self.takes(event.stream_id) and not event.stream_ended:
            self.h2.acknowledge_received_data(size, event.stream_id)
        else:
            self.h2.increment_flow_control_window(size)

    def close(self) -> None:
        """Disconnect, even if data is pending."""
        self.socket.close()

    def __enter__(self) -> Http2:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Raw:
    """A connection that sends any frames unchanged, and reads the answers."""

    def __init__(self, port: int, start: bytes = PREFACE + b"\0\0\0\4\0\0\0\0\0") -> None:
        self.frames: list[Frame] = []
        self._data = b""
        self._encoder = hpack.Encoder()
        self._port = port
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.sendall(start)

    def block(self, method: str, path: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
        """The encoded headers of a request."""
        head = [
            (":method", method),
            (":scheme", "http"),
            (":authority", f"127.0.0.1:{self._port}"),
            (":path", path),
        ]
        return bytes(self._encoder.encode([*head, *headers]))

    def request(
        self, id: int, method: str, path: str, headers: Sequence[tuple[str, str]] = ()
    ) -> bytes:
        """The frame of a request without a body."""
        frame = HeadersFrame(
            id, self.block(method, path, headers), flags=["END_HEADERS", "END_STREAM"]
        )
        return bytes(frame.serialize())

    def send(self, data: bytes) -> bool:
        """Send data; return False when the server hung up before it read everything."""
        try:
            self.socket.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def receive(self) -> bool:
        """Read some data; return False when the server has hung up."""
        try:
            more = self.socket.recv(65536)
        except ConnectionResetError:
            more = b""
        self._data += more
        while len(self._data) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(self._data[:9]))
            if len(self._data) < 9 + length:
                break
            frame.parse_body(memoryview(self._data[9 : 9 + length]))
            self.frames.append(frame)
            self._data = self._data[9 + length :]
        return bool(more)

    def until_closed(self) -> list[Frame]:
        """Return everything that arrived until the server hung up."""
        while self.receive():
            pass
        return self.frames

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Raw:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
