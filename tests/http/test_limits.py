"""Section 15, limits: each has a default, and says what it is when it is met."""

from __future__ import annotations

import socket

import pytest

MODEL = """
class Predictor:
    def predict(self, lines: int = 0, name: str = "") -> str:
        for n in range(lines):
            print("line", n)
        return "done"
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-body", "1MiB", "--max-log-bytes", "1KB")


@pytest.mark.parametrize("size", [1 << 20, 20 << 20])
def test_413_for_a_body_that_is_too_large_also_when_all_of_it_is_sent_first(server, size):
    answer = server.ask("POST", "/predictions", b'{"x": "' + b"a" * size + b'"}')
    assert answer.status == 413
    assert "1048576 bytes" in answer.json["detail"] and "--max-body" in answer.json["detail"]
    assert server.predict({}).status == 200


def test_a_body_of_just_the_limit_is_taken(server):
    frame = b'{"input": {"name": ""}}'
    body = frame.replace(b'""', b'"%s"' % (b"a" * ((1 << 20) - len(frame))))
    assert len(body) == 1 << 20
    assert server.ask("POST", "/predictions", body).status == 200


def test_413_for_chunks_that_are_too_many(server):
    body = (b"10000\r\n" + b"a" * 0x10000 + b"\r\n") * 64 + b"0\r\n\r\n"
    answer = server.ask("POST", "/predictions", body, Transfer_Encoding="chunked")
    assert answer.status == 413 and answer.headers["content-type"] == "application/json"


def refused_early(port: int, head: bytes) -> bytes:
    """What comes back although nothing of the body was sent."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(head)
        return connection.recv(65536)


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
def test_413_comes_before_the_body(server, expect):
    head = b"POST /predictions HTTP/1.1\r\nHost: x\r\n" + expect + b"Content-Length: 500000000\r\n\r\n"
    assert refused_early(server.port, head).startswith(b"HTTP/1.1 413 ")


def test_the_default_takes_100_mib(start):
    server = start(MODEL)
    assert server.ask("POST", "/predictions", b'{"x": "' + b"a" * (100 << 20) + b'"}').status == 200


def test_logs_are_cut_with_a_line_that_says_so(server):
    logs = server.predict({"lines": 1000}).json["logs"]
    assert logs.startswith("line 0\nline 1\n") and len(logs) < 1200
    assert "--max-log-bytes" in logs.splitlines()[-1]
