"""HTTP/2 without TLS, by prior knowledge: every path works as in HTTP/1.1, on the same port."""

from __future__ import annotations

import itertools
import json
import pathlib
import signal
import socket

import pytest
from hyperframe.frame import SettingsFrame

from http2_client import Http2
from model_sources import model_source
from waiting import until

MODEL = model_source("http/http2")
JSON = {"content_type": "application/json"}
EVENTS = {"accept": "text/event-stream"}
LATER = {"prefer": "respond-async"}


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-queue", "100", "--max-body", "1MiB")


@pytest.fixture
def client(server):
    with Http2(server.port) as made:
        yield made


numbers = itertools.count()


def events(text: str) -> list[tuple[str, str]]:
    """The names and data of server-sent events."""
    found = []
    for part in text.split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in part.split("\n"))
        found.append((fields.get("event", ""), fields.get("data", "")))
    return found


FORM = (
    b'--b\r\nContent-Disposition: form-data; name="content"; filename="f"\r\n\r\n'
    + b"x" * 300_000
    + b"\r\n--b--\r\n"
)

#: Requests whose answers differ only in the parts of CHANGING.
ALIKE = [
    ("GET", "/", None, {}),
    ("GET", "/livez", None, {}),
    ("HEAD", "/livez", None, {}),
    ("GET", "/health-check", None, {}),
    ("GET", "/openapi.json", None, {}),
    ("GET", "/docs", None, {}),
    ("GET", "/nowhere", None, {}),
    ("GET", "//livez", None, {}),
    ("GET", "/predictions/..", None, {}),
    ("GET", "/predictions/%2F%2e", None, {}),
    ("DELETE", "/predictions", None, {}),
    ("OPTIONS", "*", None, {}),
    ("PUT", "/predictions/nothing", None, {}),
    ("POST", "/predictions", {"id": "same", "input": {"n": 3, "text": "é😀"}}, {}),
    ("POST", "/predictions", {"id": "same", "input": {"n": "x"}}, {}),
    ("POST", "/predictions", b"{", JSON),
    ("POST", "/predictions", b"{}", {"content_type": "text/plain"}),
    ("POST", "/predictions", b"x" * (2 << 20), JSON),
    ("POST", "/predictions", b"{}", {**JSON, "content_encoding": "gzip"}),
    ("POST", "/predictions", {"id": "same"}, {"cancel_after": "1s"}),
    ("POST", "/predictions", {"id": "same"}, {"expect": "100-continue"}),
    ("PUT", "/predictions/a%2Fb", {"input": {"text": "x" * 200_000}}, {}),
    ("POST", "/predictions/unknown/cancel", None, {}),
    ("POST", "/trainings", {"id": "same"}, {}),
    ("POST", "/trainings", {"id": "same"}, EVENTS),
    (
        "POST",
        "/v1/predictions",
        {"version": "0" * 64, "input": {"n": 99999999999}, "webhook": "nope"},
        {},
    ),
    ("GET", "/v1/models/acme/thing", None, {}),
    ("POST", "/v1/files", b"x", {"content_type": "text/plain"}),
    ("POST", "/predictions", b"{}", {"origin": "https://evil.example"}),
    ("POST", "/predictions", b"{}", {"sec_fetch_site": "cross-site", **JSON}),
    ("GET", "/predictions", None, {"user_agent": "Mozilla/5.0", "host": "evil.example"}),
]
CHANGING = ("created_at", "started_at", "completed_at", "metrics")


def told(answer):
    """An answer without the parts that differ between runs and between versions of HTTP."""
    headers = {name: value for name, value in answer.headers.items() if not name.startswith(":")}
    for name in ("date", "connection", "content-length"):
        headers.pop(name, None)
    try:
        body = json.loads(answer.body)
    except ValueError:
        return answer.status, headers, answer.body
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if name not in CHANGING}
    return answer.status, headers, body


@pytest.mark.parametrize(
    ("method", "path", "body", "headers"), ALIKE, ids=lambda value: repr(value)[:40]
)
def test_every_answer_is_the_same_as_over_http_1(server, client, method, path, body, headers):
    assert told(client.ask(method, path, body, **headers)) == told(
        server.ask(method, path, body, **headers)
    )
    assert client.ask("GET", "/livez").status == 200, "the connection goes on"


def test_predictions_can_be_detached_or_waited_for(client):
    made = client.ask("PUT", "/predictions/later", {"input": {"s": 0.2}}, **LATER)
    assert (made.status, made.json["status"]) == (202, "starting")
    waited = client.ask("PUT", "/predictions/later", {"input": {"s": 0.2}}, prefer="wait=5")
    assert (waited.status, waited.json["id"]) in ((200, "later"), (202, "later"))
    until(
        "it has ended",
        lambda: client.ask("GET", "/predictions/later").json["status"] == "succeeded",
    )
    assert "later" in [p["id"] for p in client.ask("GET", "/predictions").json["results"]]


def test_requests_on_one_connection_are_served_concurrently(server, client, tmp_path):
    held = client.begin("POST", "/predictions", {"input": {"wait": str(tmp_path / "go")}})
    until("it runs", lambda: client.ask("GET", "/health-check").json["concurrency"]["current"] == 1)
    queued = [client.begin("POST", "/predictions", {"input": {"text": str(n)}}) for n in range(60)]
    assert client.ask("GET", "/livez").status == 200
    assert not held.ended and not any(stream.ended for stream in queued)
    (tmp_path / "go").touch()
    assert client.finish(held).status == 200
    for n, stream in enumerate(queued):
        assert client.finish(stream).json["output"] == [f"0{n}", f"1{n}"]


@pytest.mark.parametrize("path", ["/predictions", "/v1/predictions"])
def test_events_come_when_they_happen(client, tmp_path, path):
    gate = tmp_path / "go"
    given = {"input": {"n": 3, "wait": str(gate)}}
    if path == "/predictions":
        stream = client.begin("POST", path, given, **EVENTS)
    else:
        made = client.ask("POST", path, given).json
        stream = client.begin("GET", f"{path}/{made['id']}/stream", **EVENTS)
    client.until(lambda: stream.body.count(b"event: output") == 3)
    assert stream.headers["content-type"] == "text/event-stream" and not stream.ended
    gate.touch()
    answer = client.finish(stream)
    assert events(answer.body.decode())[-1][0] == (
        "completed" if path == "/predictions" else "done"
    )


def test_a_large_answer_and_a_large_file_arrive_complete(server, client):
    text = "é" * 100_000
    body = client.ask("POST", "/predictions", {"input": {"n": 20, "text": text}}).json
    assert body["output"] == [f"{i}{text}" for i in range(20)]
    made = client.ask("POST", "/v1/files", FORM, content_type="multipart/form-data; boundary=b")
    assert made.status == 201 and made.json["size"] == 300_000
    got = client.ask("GET", f"/v1/files/{made.json['id']}/download")
    assert got.body == b"x" * 300_000
    part = client.ask("GET", f"/v1/files/{made.json['id']}/download", range="bytes=10-19")
    assert (part.status, part.body) == (206, b"x" * 10)


@pytest.mark.parametrize("how", ["reset", "close"])
@pytest.mark.parametrize("ask", [{}, EVENTS], ids=["plain", "events"])
def test_a_client_that_leaves_cancels_its_prediction(server, client, how, ask):
    ids = [f"left-{next(numbers)}" for _ in range(2)]
    with Http2(server.port) as other:
        streams = [other.begin("PUT", f"/predictions/{ids[0]}", {"input": {"s": 60}}, **ask)]
        until(
            "the first runs",
            lambda: server.get(f"/predictions/{ids[0]}").json.get("status") == "processing",
        )
        streams.append(other.begin("PUT", f"/predictions/{ids[1]}", {"input": {"s": 60}}, **ask))
        until("the second waits", lambda: server.get(f"/predictions/{ids[1]}").status == 200)
        if how == "reset":
            for stream in streams:
                other.reset(stream)
            assert other.ask("GET", "/livez").status == 200, "the connection goes on"
    assert [server.ended(id)["status"] for id in ids] == ["canceled", "canceled"]
    assert client.ask("POST", "/predictions", {"input": {}}).json["status"] == "succeeded"


def test_predictions_that_outlive_their_client_continue(server, client):
    stays = client.begin("PUT", "/predictions/stays", {"input": {"s": 0.5}}, prefer="wait=30")
    until("it runs", lambda: server.get("/predictions/stays").json.get("status") == "processing")
    client.reset(stays)
    assert server.ended("stays")["status"] == "succeeded"


def test_a_body_that_is_too_large_is_refused_while_it_arrives(client):
    stream = client.open("POST", "/predictions", [("content-type", "application/json")], end=False)
    client.body(stream, b'{"x": "' + b"a" * (20 << 20), end=False)
    client.until(lambda: stream.body)
    assert stream.status == 413 and json.loads(stream.body)["error"]
    if stream.reset is None:  # the server resets it too, because it does not want the rest
        client.reset(stream)
    assert client.ask("GET", "/livez").status == 200, "the connection goes on"


#: Headers that give the host or the length of a request in more than one way.
UNCLEAR = {
    "another host": ([("host", "other.example")], None),
    "the host twice": ([("host", "127.0.0.1"), ("host", "127.0.0.1")], None),
    "two hosts and no authority": ([("host", "a.example"), ("host", "b.example")], ""),
    "neither host nor authority": ([], ""),
    "a path in the authority": ([], "127.0.0.1/predictions"),
    "a query in the authority": ([], "127.0.0.1?x"),
    "a space in the authority": ([], "127.0.0.1 x"),
    "a mark of HTML in the authority": ([], "<b>"),
    "a length twice": ([("content-length", "2"), ("content-length", "2")], None),
    "a list of lengths": ([("content-length", "2, 2")], None),
    "a length with a sign": ([("content-length", "+2")], None),
    "a length that is no number": ([("content-length", "x")], None),
    "a length without end": ([("content-length", "99999999999999999999")], None),
}


@pytest.mark.parametrize("name", UNCLEAR)
def test_a_request_that_can_be_read_in_two_ways_is_refused(server, client, name):
    headers, authority = UNCLEAR[name]
    id = f"unclear-{next(numbers)}"
    head = [("content-type", "application/json"), *headers]
    stream = client.open("PUT", f"/predictions/{id}", head, end=False, authority=authority)
    client.body(stream, b"{}")
    client.until(lambda: stream.ended or stream.reset is not None)
    if stream.reset is None:  # the server may notice first that the body is longer than its length
        assert stream.status == 400 and json.loads(stream.body)["error"]
    assert server.get(f"/predictions/{id}").status == 404, "it ran"
    assert client.ask("GET", "/livez").status == 200, "the connection goes on"


def test_a_length_without_a_body_is_refused(server, client):
    stream = client.open("PUT", "/predictions/none", [("content-length", "2")])
    assert client.finish(stream).status == 400 and server.get("/predictions/none").status == 404
    assert (
        client.finish(client.open("PUT", "/predictions/none", [("content-length", "0")])).status
        == 200
    )


@pytest.mark.parametrize(
    "path", ["http://other.example/predictions/smuggled", "predictions/smuggled", "", "?x"]
)
def test_a_path_cannot_contain_another_request(server, client, path):
    stream = client.open("PUT", path)
    client.until(lambda: stream.ended or stream.reset is not None)
    assert stream.status == 400 or stream.reset is not None
    assert server.get("/predictions/smuggled").status == 404


#: Headers that HTTP/2 forbids or replaces.
FORBIDDEN = [
    ("transfer-encoding", "chunked"),
    ("connection", "close"),
    ("connection", "keep-alive"),
    ("upgrade", "h2c"),
    ("keep-alive", "5"),
    ("proxy-connection", "close"),
    ("te", "gzip"),
    ("X-Upper", "x"),
    ("x y", "z"),
    ("x", "a\r\nb: c"),
    ("x", "a\nb"),
    ("x", "a\0b"),
    (":path", "/predictions/other"),
    (":status", "200"),
    ("x:", "y"),
]


@pytest.mark.parametrize("header", FORBIDDEN, ids=str)
def test_headers_that_http2_forbids_are_refused(server, header):
    id = f"forbidden-{next(numbers)}"
    with Http2(server.port) as client:
        stream = client.open("PUT", f"/predictions/{id}", [header])
        client.until(lambda: stream.ended or stream.reset is not None)
        assert stream.status == 400 or stream.reset is not None or client.closed, stream.body
    assert server.get(f"/predictions/{id}").status == 404, "it ran"


def test_a_host_header_may_repeat_or_replace_the_authority(server, client):
    name = f"localhost:{server.port}"
    for headers, authority in (([("host", name)], name), ([("host", name)], ""), ([], name)):
        stream = client.open("POST", "/v1/predictions", headers, authority=authority)
        assert client.finish(stream).json["urls"]["get"].startswith(f"http://{name}/v1/")


def test_http2_needs_the_same_token(start):
    server = start(MODEL, env={"COGGO_AUTH_TOKEN": "4711"})
    with Http2(server.port) as client:
        for path in ("/", "/predictions", "/v1/predictions"):
            refused = client.ask("GET", path)
            assert refused.status == 401 and refused.headers["www-authenticate"].startswith(
                "Bearer"
            )
            assert client.ask("GET", path, authorization="Bearer 4711").status == 200
            assert client.ask("GET", path, authorization="Bearer 4712").status == 401
        assert client.ask("GET", "/health-check").json == {"status": "READY"}
        evil = client.ask(
            "POST", "/predictions", {}, authorization="Bearer 4711", origin="https://evil.example"
        )
        assert evil.status == 403


def test_shutdown_sends_a_running_answer_and_accepts_nothing_new(start, tmp_path):
    server = start(MODEL)
    gate = tmp_path / "go"
    with Http2(server.port) as idle, Http2(server.port) as client:
        assert idle.ask("GET", "/livez").status == 200
        running = client.begin("POST", "/predictions", {"input": {"wait": str(gate)}})
        until("it runs", lambda: server.health()["concurrency"]["current"] == 1)
        stream = client.begin("POST", "/predictions", {"input": {}}, **EVENTS)
        assert client.finish(stream).status == 409
        server.process.send_signal(signal.SIGTERM)
        until("it refuses", lambda: client.ask("POST", "/predictions", {}).status == 503)
        gate.touch()
        assert client.finish(running).json["output"] == ["0", "1"]
        client.until_closed()
        idle.until_closed()
        assert client.goaway == idle.goaway == 0
    assert server.process.wait(20) == 0


def test_the_first_bytes_select_the_http_version(server):
    """The preface of HTTP/2 begins like a request, and has no meaning later on a connection."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    hidden = b"PUT /predictions/hidden HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"
    for data in (
        b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n" + preface + hidden,
        b"\r\n" + preface + hidden,
        preface[:-2] + b"X\r\n" + hidden,
        preface.replace(b"2.0", b"2.1") + hidden,
        preface.lower() + hidden,
    ):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            for i in range(len(data)):  # in pieces too
                try:
                    connection.sendall(data[i : i + 1])
                except OSError:  # the server has hung up
                    break
            try:
                while connection.recv(65536):
                    pass
            except ConnectionResetError:
                pass
    assert server.get("/predictions/hidden").status == 404, "the hidden request ran"


def test_the_preface_may_arrive_in_pieces(server):
    start = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + SettingsFrame(0).serialize()
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for i in range(len(start)):
            connection.sendall(start[i : i + 1])
        assert connection.recv(9)[3] == SettingsFrame.type


def test_urls_in_answers_over_http2_follow_the_proxy(client):
    headers = {"x_forwarded_proto": "https", "x_forwarded_prefix": "/models/a"}
    urls = client.ask("POST", "/v1/predictions", {}, **headers).json["urls"]
    assert (
        urls["get"].startswith("https://127.0.0.1") and "/models/a/v1/predictions/" in urls["get"]
    )
    assert pathlib.PurePosixPath(urls["web"]).name == "docs"
