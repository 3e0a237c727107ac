"""--access-log: a line for each request, without secrets."""

from __future__ import annotations

import json
import re
import socket

import pytest

from http2_client import Http2
from http_harness import Server, asking
from waiting import until

JSON = {"LOG_FORMAT": "json"}

MODEL = """
import os, time
from typing import Iterator
from cog import BasePredictor, streaming

class Predictor(BasePredictor):
    @streaming
    def predict(self, gate: str = "", n: int = 1) -> Iterator[str]:
        yield "x" * n
        while gate and not os.path.exists(gate):
            time.sleep(0.01)
"""


@pytest.fixture(scope="module")
def server(start_once, tmp_path_factory):
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text("of-this-server")
    return start_once(MODEL, "--access-log", "--auth-token-file", str(token), env=JSON)


OURS = {"Authorization": "Bearer of-this-server"}


def entry(server: Server, **wanted: object) -> dict:
    def look() -> dict | None:
        lines = server.lines("access")
        return next(
            (line for line in lines if all(line.get(k) == v for k, v in wanted.items())), None
        )

    return until(f"a line with {wanted}: {server.lines('access')}", look)


def test_a_request_is_one_line(server):
    answer = server.ask("POST", "/predictions", {"id": "one", "input": {}}, **OURS)
    line = entry(server, id="one")
    assert (line["method"], line["path"], line["status"], line["client"]) == (
        "POST",
        "/predictions",
        200,
        "127.0.0.1",
    )
    assert (
        line["bytes"] == len(answer.body) and 0 < line["seconds"] < 30 and line["level"] == "INFO"
    )
    assert [x for x in server.lines("access") if x.get("id") == "one"] == [line]


def test_the_id_of_a_prediction_is_logged_for_every_kind_of_client(server):
    made = server.ask("POST", "/v1/predictions", {"input": {}}, **OURS).json["id"]
    assert entry(server, id=made)["path"] == "/v1/predictions"
    server.ask("POST", "/predictions", {"id": "put me"}, **OURS)
    server.get("/predictions/put%20me", **OURS)
    assert entry(server, id="put me", method="GET")["path"] == "/predictions/put%20me"
    server.ask("POST", f"/predictions/{made}/cancel", **OURS)
    assert entry(server, id=made, path=f"/predictions/{made}/cancel")["status"] in (200, 404)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("GET", "/predictions?token=hidden", None, {}, 401),
        ("POST", "/predictions?token=hidden", {"input": {"n": "hidden"}}, OURS, 422),
        ("GET", "/no/such/path?token=hidden", None, OURS, 404),
        (
            "GET",
            "/openapi.json?token=hidden",
            None,
            {**OURS, "Cookie": "a=hidden", "Referer": "http://x/?a=hidden"},
            200,
        ),
    ],
)
def test_the_access_log_contains_no_secret(server, method, path, body, headers, status):
    assert server.ask(method, path, body, **headers).status == status
    assert "id" not in entry(server, path=path.partition("?")[0], status=status)
    assert "hidden" not in server.log() and "of-this-server" not in server.log()


def test_a_head_request_is_logged_with_zero_bytes(server):
    assert server.ask("HEAD", "/openapi.json", **OURS).body == b""
    assert entry(server, method="HEAD", path="/openapi.json", status=200)["bytes"] == 0


def test_a_line_of_the_access_log_is_bounded(server):
    path = "/predictions/" + "i" * 50_000
    assert server.get(path, **OURS, X_Forwarded_For="9" * 10_000).status == 404
    line = entry(server, path=path[:2048] + "…")
    assert len(json.dumps(line)) < 6000 and line["id"] == "i" * 2048 + "…"


def test_probes_are_logged_only_when_they_fail(start):
    slow = "import time\nclass Predictor:\n    def setup(self): time.sleep(60)\n    def predict(self) -> str: return ''\n"
    server = start(slow, "--access-log", env=JSON, ready=False)
    for path in ("/livez", "/health-check", "/metrics", "/readyz"):
        server.get(path)
    assert entry(server, path="/readyz")["status"] == 503
    assert {line["path"] for line in server.lines("access")} == {"/readyz"}


def test_a_stream_is_logged_when_it_ends(server, tmp_path):
    gate = tmp_path / "gate"
    made = server.ask("POST", "/v1/predictions", {"input": {"gate": str(gate)}}, **OURS).json["id"]
    path = f"/predictions/{made}/stream"
    with asking(server.port, path, f"Authorization: {OURS['Authorization']}") as reader:
        got = b""
        while b"xx" not in got and b"data" not in got:
            got += reader.recv(4096)
        assert not [line for line in server.lines("access") if line["path"] == path]
        gate.touch()
        line = entry(server, path=path)
    assert line["status"] == 200 and line["bytes"] > 50 and line["id"] == made


def test_a_client_that_leaves_before_its_answer_is_logged(server, tmp_path):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        body = b'{"id": "left", "input": {"gate": "%s"}}' % str(tmp_path / "never").encode()
        head = (
            f"POST /predictions HTTP/1.1\r\nHost: x\r\nAuthorization: {OURS['Authorization']}\r\n"
        )
        client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until("it runs", lambda: server.get("/predictions/left", **OURS).status == 200)
    assert entry(server, path="/predictions", method="POST", status=499)["id"] == "left"


def test_the_client_named_by_proxies_is_logged_separately(server):
    server.get("/", **OURS, X_Forwarded_For="203.0.113.9, 10.0.0.1")
    assert entry(server, path="/", forwarded_for="203.0.113.9, 10.0.0.1")["client"] == "127.0.0.1"


def test_http2_requests_are_logged_too(server):
    client = Http2(server.port)
    try:
        answer = client.ask(
            "GET", "/predictions/over-two?token=hidden", authorization=OURS["Authorization"]
        )
        assert answer.status == 404
    finally:
        client.close()
    assert entry(server, path="/predictions/over-two")["status"] == 404


@pytest.mark.parametrize(
    ("kind", "head"),
    [("text", r"level=INFO msg=access"), ("console", r"\d\d:\d\d:\d\d INF access")],
)
def test_the_access_log_has_the_format_of_the_log(start, kind, head):
    server = start(MODEL, "--access-log", env={"LOG_FORMAT": kind})
    server.get("/")
    line = head + r" method=GET path=/ status=200 bytes=\d+ seconds=\S+ client=127.0.0.1\n"
    until("it is there", lambda: re.search(line, server.log()))


def test_without_the_flag_requests_are_not_logged(start):
    server = start(MODEL, env=JSON)
    server.predict({})
    assert not server.lines("access")
