"""Every refusal has the same members, because some clients read `detail` and others `error`."""

from __future__ import annotations

import http.client
import socket

import pytest

from http_harness import Answer
from waiting import until

MODEL = """
import time
class Predictor:
    def predict(self, s: float = 0, n: int = 1) -> str:
        time.sleep(s)
        return "done"
"""
JSON = {"Content-Type": "application/json"}
EVENTS = {"Accept": "text/event-stream"}
FOREIGN = {"Origin": "https://evil.example"}
REBOUND = {"Host": "evil.example", "User-Agent": "Mozilla/5.0"}


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-body", "1KiB", "--body-timeout", "1s", "--max-uploads", "10")


def check(answer: Answer, status: int) -> None:
    assert answer.status == status, answer.body
    assert answer.headers["content-type"] == "application/json"
    body = answer.json
    assert body["detail"] and body["error"]
    if isinstance(body["detail"], str):
        assert body["error"] == body["detail"]
    else:
        assert all(
            problem["msg"] in body["error"] and str(problem["loc"][-1]) in body["error"]
            for problem in body["detail"]
        )
    if "title" in body:  # as Replicate has it
        assert body["status"] == status
    elif status in (409, 429, 503):
        assert body["status"] == "failed"


UPLOAD = (
    b'--b\r\nContent-Disposition: form-data; name="content"; filename="f"\r\n\r\n'
    + b"x" * 99
    + b"\r\n--b--\r\n"
)
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status"),
    [
        ("POST", "/predictions", "{", JSON, 400),
        ("POST", "/v1/predictions", "{", JSON, 400),
        ("POST", "/predictions", "{}", FOREIGN, 403),
        ("POST", "/v1/predictions", "{}", FOREIGN, 403),
        ("GET", "/docs", None, REBOUND, 403),
        ("GET", "/nowhere", None, {}, 404),
        ("GET", "//predictions", None, {}, 404),
        ("GET", "/predictions/unknown", None, {}, 404),
        ("GET", "/predictions?cursor=unknown", None, {}, 404),
        ("GET", "/v1/predictions/unknown", None, {}, 404),
        ("GET", "/v1/files/unknown", None, {}, 404),
        ("POST", "/trainings", "{}", JSON, 404),
        ("DELETE", "/predictions", None, {}, 405),
        ("PUT", "/v1/predictions", None, {}, 405),
        ("POST", "/predictions", "{}", {**JSON, **EVENTS}, 406),
        ("PUT", "/predictions/x", "{}", {**JSON, **EVENTS}, 406),
        ("POST", "/predictions", "x" * 2000, JSON, 413),
        ("POST", "/v1/predictions", "x" * 2000, JSON, 413),
        ("POST", "/predictions", "{}", {"Content-Type": "text/plain"}, 415),
        ("POST", "/v1/files", "x", {"Content-Type": "text/plain"}, 415),
        ("POST", "/predictions", '{"input": {"n": "x", "s": "y"}, "id": "z"}', JSON, 422),
        ("POST", "/predictions", '{"id": 5, "webhook": "nope"}', JSON, 422),
        ("POST", "/predictions", "{}", {**JSON, "Cancel-After": "1s"}, 422),
        ("POST", "/v1/predictions", '{"input": {"n": "x"}}', JSON, 422),
        ("POST", "/v1/files", UPLOAD, FORM, 507),
    ],
)
def test_a_refusal_of_each_route_has_these_members(server, method, path, body, headers, status):
    check(server.ask(method, path, body, **headers), status)


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Range": "bytes=9-"}, 416), ({"Range": "lines=1"}, 416), ({"If-Match": '"x"'}, 412)],
)
def test_a_refusal_of_a_range_of_a_file_has_these_members(server, headers, status):
    small = UPLOAD.replace(b"x" * 99, b"12345").replace(
        b"\r\n\r\n", b"\r\nContent-Type: application/json\r\n\r\n", 1
    )
    made = server.ask("POST", "/v1/files", small, **FORM).json
    try:
        path = f"/v1/files/{made['id']}/download"
        assert server.get(path, Range="bytes=3-").body == b"45"
        check(server.get(path, **headers), status)
    finally:
        server.ask("DELETE", f"/v1/files/{made['id']}")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (
            b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
            400,
        ),
        (b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n{", 408),
        (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n", 417),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/9.9\r\nHost: x\r\n\r\n", 505),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_a_refusal_of_a_request_without_a_route_has_these_members(server, head, status):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head)
        response = http.client.HTTPResponse(connection)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        check(Answer(response.status, headers, response.read()), status)


@pytest.mark.parametrize(("flags", "status"), [((), 409), (("--max-queue", "1"), 429)])
def test_a_refusal_for_lack_of_a_slot_has_these_members(start, flags, status):
    server = start(MODEL, *flags)
    for id in ["runs", "waits"][: 1 + bool(flags)]:
        server.predict({"s": 60}, {"Prefer": "respond-async"}, id=id)
    check(server.predict({}), status)
    for id in ("waits", "runs"):
        server.ask("POST", f"/predictions/{id}/cancel")
    until("it is idle", lambda: server.health()["status"] == "READY")


def test_a_refusal_without_the_token_has_these_members(start):
    server = start(MODEL, env={"COGGO_AUTH_TOKEN": "4711"})
    for path in ("/", "/predictions", "/v1/predictions", "/docs"):
        check(server.get(path), 401)


def test_a_refusal_without_a_model_has_these_members(start):
    server = start("raise RuntimeError('no weights')", ready=False)
    server.wait_status("SETUP_FAILED")
    check(server.predict({}), 503)
    check(server.get("/openapi.json"), 503)
    check(server.ask("POST", "/v1/predictions", {}), 503)
