"""Slow clients, and clients that send nonsense, on raw sockets."""

from __future__ import annotations

import json
import socket
import threading

import pytest

from http_events import Stream
from http_harness import asking, hung_up_on
from servers import measures_memory
from waiting import until

MODEL = "class Predictor:\n    def predict(self, name: str = 'you') -> str:\n        return 'hello ' + name\n"


def send(port: int, data: bytes, timeout: float = 10) -> bytes:
    """Send bytes, and return the answer until the server hangs up or stays silent."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as connection:
        connection.sendall(data)
        got = b""
        while True:
            try:
                more = connection.recv(65536)
            except TimeoutError:
                return got
            if not more:
                return got
            got += more


def test_a_body_that_stops_coming_is_given_up_and_others_are_served_meanwhile(start):
    server = start(MODEL, "--body-timeout", "500ms")
    head = b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as slow:
        slow.sendall(head)
        assert server.predict({}).json["output"] == "hello you"
        answer = b""
        while b"--body-timeout" not in answer:
            more = slow.recv(65536)
            assert more, answer
            answer += more
        assert answer.startswith(b"HTTP/1.1 408 ")


def test_headers_that_stop_coming_are_given_up(start):
    server = start(MODEL, "--header-timeout", "500ms")
    assert send(server.port, b"POST /predictions HTTP/1.1\r\nHost: x\r\nX-").startswith(
        (b"HTTP/1.1 408 ", b"")
    )
    assert server.predict({}).status == 200


def test_a_half_open_connection_does_not_delay_the_shutdown(start):
    server = start(MODEL)
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
        until("it was accepted", lambda: server.get("/livez").status == 200)
        server.ask("POST", "/shutdown")
        assert server.process.wait(20) == 0


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET /health-check\r\n\r\n",
        b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /predictions HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 50_000 + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad\x00Header: y\r\n\r\n",
    ],
)
def test_nonsense_is_refused_and_the_next_request_is_served(start, data):
    server = start(MODEL)
    try:
        answer = send(server.port, data, timeout=1)
    except ConnectionError:  # the server hung up before it had read all of it
        answer = b""
    assert not answer or answer.split(b" ", 2)[1] in (
        b"400",
        b"404",
        b"408",
        b"413",
        b"414",
        b"431",
        b"501",
        b"505",
    ), answer[:200]
    assert server.predict({}).json["output"] == "hello you"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /\r\n\r\n", b"400 Bad Request"),
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request: missing required Host header"),
        (
            b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
            b"431 Request Header Fields Too Large",
        ),
        (
            b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
            b"501 Unsupported transfer encoding",
        ),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n", b"417 Expectation Failed"),
    ],
)
def test_a_malformed_request_is_refused_in_json(start, data, status):
    head, _, body = send(start(MODEL, "--header-timeout", "1s").port, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status[:3]) and b"Content-Type: application/json" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["detail"].startswith(status[:3].decode())


def test_a_request_with_two_lengths_has_one_answer(start):
    """Requests with Content-Length and chunks can be smuggled past a proxy. The chunks count: RFC
    9112, section 6.3.
    """
    server = start(MODEL)
    hidden = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    head = b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    lengths = b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n" % (len(hidden) + 5)
    answer = send(server.port, head + lengths + b"0\r\n\r\n" + hidden, timeout=2)
    assert answer.count(b"HTTP/1.1 ") == 1


def test_pipelined_requests_are_answered_in_order(start):
    server = start(MODEL)
    one = b'POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\n{"input": {"name": "no. %d"}}'
    got = send(server.port, b"".join(one % n for n in range(5)), timeout=3)
    places = [got.index(b"hello no. %d" % n) for n in range(5)]
    assert places == sorted(places)


def test_a_chunked_body_is_read(start):
    server = start(MODEL)
    data = (
        b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
        b'Connection: close\r\n\r\n8\r\n{"input"\r\n12\r\n: {"name": "bit"}}\r\n0\r\n\r\n'
    )
    assert b"hello bit" in send(server.port, data)


LARGE = """
from cog import BasePredictor, Path, streaming

class Predictor(BasePredictor):
    @streaming
    def predict(self, lines: int = 0, size: int = 0) -> str:
        for _ in range(lines):
            print("x" * 99)
        return "é" * (size // 2)
"""


TEXT = r"""
from cog import BasePredictor, streaming

class Predictor(BasePredictor):
    @streaming
    def predict(self) -> str:
        print("é \u2028 \U0001f600 \" \\ \t \x01" * 9999, end="")
        return "".join("x" * n + "\U0001f600é\u2028\n\\u00e9\"\t\x7f" for n in range(999))
"""


@measures_memory
@pytest.mark.parametrize("what", [{"lines": 120_000}, {"size": 12 << 20}], ids=["logs", "output"])
def test_an_unread_answer_is_held_once_and_given_up(start, what):
    server = start(LARGE, "--stream-timeout", "2s")
    server.predict(what, id="big")
    form = (
        b'--x\r\nContent-Disposition: form-data; name="content"\r\n\r\n'
        + bytes(12 << 20)
        + b"\r\n--x--\r\n"
    )
    stored = server.ask(
        "POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=x"
    ).json["id"]
    one = "predictions/big"
    paths = [
        f"/{one}",
        f"/v1/{one}",
        f"/{one}/stream",
        f"/v1/{one}/stream",
        f"/v1/files/{stored}/download",
    ]
    before = server.memory()
    clients = [asking(server.port, path) for path in paths for _ in range(6)]
    until("all are given up", lambda: all(hung_up_on(client) for client in clients))
    grown = server.memory() - before
    for client in clients:
        client.close()
    assert grown < 5 * (12 << 20), f"30 readers of 12 MB made the server grow by {grown >> 20} MB"
    assert server.predict({}).status == 200


@pytest.mark.parametrize(
    "path", ["/predictions/big", "/predictions/big/stream", "/v1/predictions/big/stream"]
)
def test_a_slow_but_steady_reader_gets_everything(start, path):
    server = start(LARGE, "--stream-timeout", "1s")
    server.predict({"size": 9 << 20}, id="big")
    pause = threading.Event()
    got = paused = 0
    with asking(server.port, path, "Connection: close", room=256 << 10) as client:
        while more := client.recv(64 << 10):
            got += len(more)
            while (
                paused < got
            ):  # about 3 MB in a second, so the whole takes three times as long as the limit
                pause.wait(0.02)
                paused += 64 << 10
    assert got > 9 << 20


def test_text_of_any_kind_is_streamed_as_it_is(start):
    server = start(TEXT)
    whole = server.predict({}, id="text").json
    with Stream(server.port, "GET", "/predictions/text/stream") as stream:
        events = list(stream)
    assert events[-1].data == whole
    assert (
        "".join(event.data["data"] for event in events if event.name == "log") + "\n"
        == whole["logs"]
    )
    parts = server.get("/v1/predictions/text/stream").body.decode().split("\n\n")
    texts = {}
    for part in parts[:-1]:
        name, _, *lines = part.split("\n")
        assert all(line.startswith("data: ") for line in lines)
        texts[name] = texts.get(name, "") + "\n".join(line[6:] for line in lines)
    assert texts["event: output"] == whole["output"]
    assert texts["event: logs"] + "\n" == whole["logs"]
