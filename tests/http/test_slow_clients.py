"""Clients that take their time, and those that send nonsense, on raw sockets."""

from __future__ import annotations

import json
import socket

import pytest

from waiting import until

MODEL = "class Predictor:\n    def predict(self, name: str = 'you') -> str:\n        return 'hello ' + name\n"


def send(port: int, data: bytes, timeout: float = 10) -> bytes:
    """Send bytes and return all that comes back until the server closes or stays silent."""
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
    assert send(server.port, b"POST /predictions HTTP/1.1\r\nHost: x\r\nX-").startswith((b"HTTP/1.1 408 ", b""))
    assert server.predict({}).status == 200


def test_a_half_open_connection_does_not_hold_the_shutdown(start):
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
def test_nonsense_is_refused_and_the_next_request_served(start, data):
    server = start(MODEL)
    try:
        answer = send(server.port, data, timeout=1)
    except ConnectionError:  # the server hung up before it had read all of it
        answer = b""
    assert not answer or answer.split(b" ", 2)[1] in (b"400", b"404", b"408", b"413", b"414", b"431", b"501", b"505"), (
        answer[:200]
    )
    assert server.predict({}).json["output"] == "hello you"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /\r\n\r\n", b"400 Bad Request"),
        (b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", b"400 Bad Request"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400 Bad Request: missing required Host header"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", b"431 Request Header Fields Too Large"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", b"501 Unsupported transfer encoding"),
        (b"POST / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n", b"417 Expectation Failed"),
    ],
)
def test_a_refusal_of_what_is_no_request_is_json_too(start, data, status):
    head, _, body = send(start(MODEL).port, data).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status[:3]) and b"Content-Type: application/json" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["detail"].startswith(status[:3].decode())


def test_a_request_with_two_lengths_has_one_answer(start):
    """Content-Length beside chunks is how requests are smuggled past a proxy; the chunks count (RFC 9112, section 6.3)."""
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
