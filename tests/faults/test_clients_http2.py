"""The server gives up clients that violate HTTP/2 or stop in the middle, and serves the others."""

from __future__ import annotations

import json
import select
import socket
import threading

import pytest
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from http2_client import PREFACE, Http2, Raw
from servers import measures_memory
from waiting import until

MODEL = """
import time
from typing import Iterator
from cog import BasePredictor, streaming
class Predictor(BasePredictor):
    @streaming
    def predict(self, n: int = 1, size: int = 1, s: float = 0) -> Iterator[str]:
        for _ in range(n):
            yield "x" * size
        time.sleep(s)
"""
EVENTS = {"accept": "text/event-stream"}
NO_ERROR, INTERNAL_ERROR, ENHANCE_YOUR_CALM = 0, 2, 11


FLAGS = (
    "--header-timeout",
    "1s",
    "--body-timeout",
    "1s",
    "--stream-timeout",
    "2s",
    "--cancel-grace",
    "2s",
    "--idle-timeout",
    "1m",
)


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, *FLAGS)


@pytest.fixture
def fresh(start):
    """A server for a test that measures memory: a shared one may still work on streams that the
    test before has left, and take memory for them.
    """
    return start(MODEL, *FLAGS)


def works(server) -> None:
    with Http2(server.port) as client:
        assert client.ask("POST", "/predictions", {"input": {}}).json["output"] == ["x"]
    until("the slot is free", lambda: server.health()["concurrency"]["current"] == 0)


def test_a_connection_announces_its_limit_of_streams_and_keeps_it(server):
    with Http2(server.port) as client:
        assert client.ask("GET", "/livez").status == 200
        assert client.h2.remote_settings.max_concurrent_streams == 250
    server.predict({"s": 60}, {"Prefer": "respond-async"}, id="long")
    with Raw(server.port) as raw:
        raw.send(
            b"".join(raw.request(id, "GET", "/predictions/long/stream") for id in range(1, 601, 2))
        )

        def refused() -> set[int]:
            return {frame.stream_id for frame in raw.frames if isinstance(frame, RstStreamFrame)}

        while len(refused()) < 50 and raw.receive():
            pass
        assert refused() == set(range(501, 601, 2)), "the first 250 of 300 are served"
    server.ask("POST", "/predictions/long/cancel")
    until("the slot is free", lambda: server.health()["concurrency"]["current"] == 0)
    works(server)


@measures_memory
@pytest.mark.parametrize("what", ["POST", "PUT", "GET", "events"])
def test_streams_that_are_reset_at_once_do_not_delay_others(fresh, what):
    """Rapid reset: a stream that is reset at once does not count toward the limit of streams. The
    server must not run the handlers of all of them at once.
    """
    before = fresh.memory()
    method, headers = {"events": ("POST", [("accept", "text/event-stream")])}.get(what, (what, []))
    with Raw(fresh.port) as raw:
        id = 1
        for _ in range(50):
            burst = b""
            for _ in range(400):
                path = f"/predictions/rapid-{id}" if method == "PUT" else "/predictions"
                burst += (
                    raw.request(id, method, path, headers)
                    + RstStreamFrame(id, error_code=8).serialize()
                )
                id += 2
            if not raw.send(burst):
                break
            assert fresh.get("/livez").status == 200
        raw.socket.shutdown(socket.SHUT_WR)
        ends = [frame.error_code for frame in raw.until_closed() if isinstance(frame, GoAwayFrame)]
    assert set(ends) <= {NO_ERROR, ENHANCE_YOUR_CALM}
    until("nothing runs", lambda: fresh.health()["concurrency"]["current"] == 0)
    works(fresh)
    assert fresh.memory() - before < 100 << 20


def test_streams_that_wait_for_bodies_and_are_reset_leave_nothing(fresh):
    """Each announces 100 MB and sends one byte."""
    before = fresh.memory()
    with Raw(fresh.port) as raw:
        for id in range(1, 8001, 2):
            block = raw.block("POST", "/predictions", [("content-length", "100000000")])
            data = (
                HeadersFrame(id, block, flags=["END_HEADERS"]).serialize()
                + DataFrame(id, b"{").serialize()
            )
            if not raw.send(data + RstStreamFrame(id, error_code=8).serialize()):
                break
    works(fresh)
    assert fresh.memory() - before < 100 << 20


def flood(raw: Raw, frame: Frame, count: int) -> None:
    """Send frames until the server has hung up, or takes nothing more."""
    data = frame.serialize() * 1000
    try:
        for _ in range(count // 1000):
            if not raw.send(data):
                return
    except OSError:
        pass


@measures_memory
@pytest.mark.parametrize(
    "frame",
    [
        PingFrame(0, opaque_data=b"12345678"),
        SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1}),
        PriorityFrame(1, depends_on=3, stream_weight=5),
        WindowUpdateFrame(0, window_increment=1),
        RstStreamFrame(1, error_code=8),
        DataFrame(1, b""),
        ContinuationFrame(1, b"x"),
        PingFrame(0, opaque_data=b"12345678", flags=["ACK"]),
    ],
    ids=lambda frame: type(frame).__name__,
)
def test_a_flood_of_small_frames_with_unread_answers_does_not_harm_others(fresh, frame):
    """Memory that grows with the flood would show: a waiting answer takes more than 32 bytes."""
    count = 500_000
    before = fresh.memory()
    with Raw(fresh.port) as raw:
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.socket.settimeout(3)
        sender = threading.Thread(target=flood, args=[raw, frame, count])
        sender.start()
        for _ in range(5):
            works(fresh)
        sender.join()
    works(fresh)
    assert fresh.memory() - before < 32 * count


#: Beginnings of headers, and of frames other than DATA, whose rest never comes.
UNFINISHED = {
    "the head of a frame": lambda raw, id: b"\0\0\x08\6",
    "a ping": lambda raw, id: PingFrame(0, opaque_data=b"12345678").serialize()[:12],
    "headers": lambda raw, id: raw.request(id, "GET", "/livez")[:14],
    "headers that go on": lambda raw, id: HeadersFrame(
        id, raw.block("GET", "/livez"), flags=["END_STREAM"]
    ).serialize(),
    "an unknown frame": lambda raw, id: b"\0\x10\0\xfa\0\0\0\0\1" + b"x" * 100,
}


@pytest.mark.parametrize("what", UNFINISHED)
def test_a_started_frame_must_be_completed_in_time(server, what):
    with Raw(server.port) as raw:
        raw.send(UNFINISHED[what](raw, 1))
        raw.until_closed()
    works(server)


@pytest.mark.parametrize("what", UNFINISHED)
def test_a_started_frame_must_be_completed_next_to_a_stream_too(server, what):
    """The predictions of an HTTP/2 connection are canceled with it, as in HTTP/1."""
    with Raw(server.port) as raw:
        block = raw.block(
            "POST", "/predictions", [("content-type", "application/json"), *EVENTS.items()]
        )
        body = DataFrame(1, b'{"id": "beside", "input": {"s": 60}}', flags=["END_STREAM"])
        raw.send(HeadersFrame(1, block, flags=["END_HEADERS"]).serialize() + body.serialize())
        until("it runs", lambda: server.health()["status"] == "BUSY")
        raw.send(UNFINISHED[what](raw, 3))
        raw.until_closed()
    assert server.ended("beside")["status"] == "canceled"
    works(server)


@pytest.mark.parametrize("start", [b"P", PREFACE[:20], PREFACE])
def test_a_connection_that_falls_silent_after_its_start_is_closed(server, start):
    with Raw(server.port, start) as raw:
        raw.until_closed()
    works(server)


def test_trickling_headers_are_given_up(server):
    with Raw(server.port) as raw:
        raw.send(HeadersFrame(1, raw.block("GET", "/livez"), flags=["END_STREAM"]).serialize())
        more = ContinuationFrame(1, raw.block("GET", "/livez", [("x", "y")])[-1:]).serialize()
        stop = threading.Event()

        def trickle() -> None:
            while not stop.wait(0.1) and raw.send(more):
                pass

        sender = threading.Thread(target=trickle)
        sender.start()
        raw.until_closed()
        stop.set()
        sender.join()
    works(server)


@pytest.mark.parametrize("path", ["/predictions", "/v1/predictions", "/v1/files"])
@pytest.mark.parametrize("length", [True, False])
def test_a_body_that_stops_is_given_up_and_the_connection_continues(server, path, length):
    kind = "multipart/form-data; boundary=b" if path == "/v1/files" else "application/json"
    head = [("content-type", kind)] + [("content-length", "1000")] * length
    with Http2(server.port) as client:
        stream = client.open("POST", path, head, end=False)
        client.body(stream, b"--b\r\n" if path == "/v1/files" else b'{"input"', end=False)
        client.until(lambda: stream.body)
        assert (
            stream.status == (400 if path == "/v1/files" else 408)
            and json.loads(stream.body)["error"]
        )
        assert client.ask("GET", "/livez").status == 200
        assert client.goaway is None


def test_a_body_that_trickles_is_read_and_others_are_served_meanwhile(server):
    body = b'{"input": {"n": 1}}'
    pause = threading.Event()
    with Http2(server.port) as client:
        slow = client.open(
            "POST", "/predictions", [("content-type", "application/json")], end=False
        )
        for i in range(len(body)):
            client.body(slow, body[i : i + 1], end=i == len(body) - 1)
            pause.wait(0.1)  # for twice as long as the longest allowed pause
            assert client.ask("GET", "/livez").status == 200
        assert client.finish(slow).json["output"] == ["x"]


def test_headers_that_are_too_large_are_refused(server):
    for name, count in (("one", 1), ("many", 400)):
        with Http2(server.port) as client:
            headers = [(f"x-{n}", "y" * (80_000 // count)) for n in range(count)]
            stream = client.open("GET", "/livez", headers)
            client.until(lambda stream=stream: stream.ended or stream.reset is not None)
            assert stream.status == 431 or client.goaway or client.closed, name
    works(server)


def test_an_idle_connection_is_closed_and_one_with_a_stream_is_not(start):
    server = start(MODEL, "--idle-timeout", "1s")
    with Http2(server.port) as idle, Http2(server.port) as busy:
        assert idle.ask("GET", "/livez").status == 200
        stream = busy.begin("POST", "/predictions", {"input": {"s": 3}}, **EVENTS)
        idle.until_closed()
        assert idle.goaway == NO_ERROR
        assert busy.finish(stream).body.endswith(b"\n\n") and busy.goaway is None


@pytest.mark.parametrize(
    "path",
    [
        "/predictions/big",
        "/predictions/big/stream",
        "/v1/predictions/big",
        "/v1/predictions/big/stream",
    ],
)
def test_an_unread_stream_is_reset_and_others_continue(server, path):
    if server.get("/predictions/big").status == 404:
        server.predict({"size": 12 << 20}, id="big")
    with Http2(server.port, window=65535, takes=lambda id: id != 1) as client:
        stuck = client.begin("GET", path)
        assert stuck.id == 1
        client.until(lambda: len(stuck.body) == 65535)
        while stuck.reset is None:
            assert client.ask("GET", path).status == 200, "the same on another stream"
        assert stuck.reset == INTERNAL_ERROR and not stuck.ended
        assert client.ask("GET", "/livez").status == 200


def test_a_stream_whose_last_reader_stops_reading_is_canceled(server):
    with Http2(server.port, window=10) as client:
        client.takes = lambda id: False
        stuck = client.begin(
            "POST",
            "/predictions",
            {"id": "unread", "input": {"n": 5, "size": 99, "s": 600}},
            **EVENTS,
        )
        client.until(lambda: stuck.reset is not None)
        assert stuck.reset == INTERNAL_ERROR
    assert server.ended("unread")["status"] == "canceled"
    works(server)


@pytest.mark.parametrize("path", ["/livez", "/docs", "/nowhere"])
def test_an_unread_short_answer_is_given_up_too(server, path):
    with Http2(server.port, window=0, takes=lambda id: False) as client:
        stream = client.begin("GET", path)
        client.until(lambda: stream.reset is not None)
        assert stream.reset == INTERNAL_ERROR and stream.status and not stream.ended


def test_a_quiet_stream_is_not_reset(start):
    server = start(MODEL, "--stream-timeout", "1s", "--stream-keep-alive", "1m")
    with Http2(server.port) as client:
        stream = client.begin("POST", "/predictions", {"input": {"n": 2, "s": 4}}, **EVENTS)
        assert client.finish(stream).body.count(b"event: output") == 2


def test_unread_connections_are_closed_and_use_little_memory(fresh):
    fresh.predict({"size": 12 << 20}, id="big")
    before = fresh.memory()
    raws = []
    for _ in range(30):
        raw = Raw(fresh.port, b"")
        raw.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        settings = SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 1 << 30})
        window = WindowUpdateFrame(0, window_increment=1 << 30)
        raw.send(
            PREFACE
            + settings.serialize()
            + window.serialize()
            + raw.request(1, "GET", "/predictions/big")
        )
        raws.append(raw)

    def hung_up_on(raw: Raw) -> bool:
        watch = select.poll()
        watch.register(raw.socket, select.POLLRDHUP)
        return bool(watch.poll(0))

    until("all are given up", lambda: all(map(hung_up_on, raws)))
    for raw in raws:
        raw.close()
    assert fresh.memory() - before < 5 * (12 << 20)
    works(fresh)


def test_a_slow_but_steady_reader_gets_everything(start):
    server = start(MODEL, "--stream-timeout", "1s")
    server.predict({"size": 6 << 20}, id="big")
    pause = threading.Event()
    with Http2(server.port, window=65535) as client:
        stream = client.begin("GET", "/predictions/big")
        paused = 0
        while not stream.ended and client.receive():
            while paused < len(
                stream.body
            ):  # about 2 MB in a second, so the whole takes three times as long as the limit
                pause.wait(0.03)
                paused += 64 << 10
        assert len(stream.body) > 6 << 20 and stream.ended


#: Frames that are not allowed where they come.
ODD = {
    "data before headers": DataFrame(1, b"x").serialize(),
    "an even stream": None,
    "a frame that is too large": b"\xff\xff\xff\1\4\0\0\0\1",
    "settings of a stream": b"\0\0\0\4\0\0\0\0\1",
    "half a setting": b"\0\0\5\4\0\0\0\0\0" + b"x" * 5,
    "a ping of 7 bytes": b"\0\0\7\6\0\0\0\0\0" + b"x" * 7,
    "a window of nothing": WindowUpdateFrame(0, window_increment=1).serialize()[:-1] + b"\0",
    "a window that is too large": WindowUpdateFrame(0, window_increment=2**31 - 1).serialize() * 2,
    "a continuation of nothing": ContinuationFrame(1, b"x").serialize(),
    "headers that can't be decoded": HeadersFrame(
        1, b"\xff\xff\xff\xff\xff", flags=["END_HEADERS"]
    ).serialize(),
    "a push": b"\0\0\4\5\4\0\0\0\1\0\0\0\2",
    "a reset of nothing": RstStreamFrame(1, error_code=8).serialize(),
    "a request of HTTP/1": b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", ODD)
def test_misplaced_frames_end_the_connection(server, what):
    with Raw(server.port) as raw:
        raw.send(ODD[what] or raw.request(2, "GET", "/livez"))
        raw.until_closed()
    works(server)


def test_silent_connections_delay_neither_others_nor_the_shutdown(start):
    server = start(MODEL)
    held = [
        Raw(server.port, start)
        for start in (b"", PREFACE[:5], PREFACE, PREFACE + b"\0\0\0\4\0\0\0\0\0")
    ]
    half = Raw(server.port)
    half.send(
        HeadersFrame(1, half.block("POST", "/predictions"), flags=["END_HEADERS"]).serialize()
    )
    works(server)
    assert server.ask("POST", "/shutdown").status == 200
    assert server.process.wait(20) == 0
    for raw in (*held, half):
        raw.close()
