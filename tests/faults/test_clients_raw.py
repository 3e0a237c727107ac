"""Clients that violate HTTP or JSON, on raw sockets: the server answers each or hangs up, and
serves the others.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from urllib.parse import quote

import pytest

from model_sources import model_source
from waiting import until

MODEL = model_source("faults/clients_raw")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(
        MODEL, "--header-timeout", "1s", "--body-timeout", "1s", "--cancel-grace", "2s"
    )


def exchange(server, data: bytes, timeout: float = 10) -> bytes:
    """Send bytes, and return all that comes back until the server hangs up or stays silent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=timeout) as connection:
        got = b""
        try:
            connection.sendall(data)
            while more := connection.recv(65536):
                got += more
        except OSError:  # the server answered and hung up before it had read everything
            pass
        return got


def statuses(answer: bytes) -> list[int]:
    return [int(n) for n in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]


def works(server):
    answer = server.predict({}).json
    assert answer.get("output", "").startswith("run "), answer


def post(body: bytes, *headers: str, method: str = "POST", path: str = "/predictions") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", *headers]
    if not any(h.lower().startswith(("content-length", "transfer-encoding")) for h in headers):
        lines.append(f"Content-Length: {len(body)}")
    if not any(h.lower().startswith("content-type") for h in headers):
        lines.append("Content-Type: application/json")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


BODIES = [
    (b"{", 400),
    (b'{"input":', 400),
    (b'{"input": {}', 400),
    (b'{"input": {}}}', 400),
    (b'{"input": {}} {"input": {}}', 400),
    (b"{'input': {}}", 400),
    (b'{"input": {"s": NaN}}', 400),
    (b'{"input": {"s": Infinity}}', 400),
    (b'{"input": {"s": 01}}', 400),
    (b'{"input": {"value": "\xff"}}', 400),
    (b'{"input": {"value": "\\ud800"}}', (200, 400, 422)),
    (b'{"input": {"value": "a\nb"}}', 400),
    (b"\xef\xbb\xbf{}", (200, 400)),
    (b"\x00", 400),
    ("{}".encode("utf-16"), 400),
    (b"[]", 422),
    (b'""', 422),
    (b"1", 422),
    (b"null", (200, 422)),
    (b'{"input": []}', 422),
    (b'{"input": "x"}', 422),
    (b'{"input": {"s": {}}}', 422),
    (b'{"input": {"s": 1e999}}', (400, 422)),
    (b'{"id": "\\u0000"}', (200, 422)),
    (b'{"id": ""}', 200),
    (b'{"id": 5}', 422),
    (b'{"id": "' + b"x" * 513 + b'"}', 422),
    (b'{"id": "' + b"x" * 10_000 + b'"}', 422),
    (b'{"webhook": "file:///etc/passwd"}', 422),
    (b'{"webhook": "http://"}', 422),
    (b'{"webhook": "http://a b/"}', 422),
    (b'{"webhook": "gopher://x"}', 422),
    (b'{"webhook": "http://x\\r\\nX-Evil: 1/"}', 422),
    (b'{"webhook": 5}', 422),
    (b'{"output_file_prefix": "file:///tmp/"}', 422),
    (b'{"webhook_events_filter": ["all"]}', 422),
    (b'{"context": {"a": 1}}', 422),
    (b'{"input": {"value": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}", (400, 422)),
    (b"[" * 100_000, 400),
    (b'{"a":' * 100_000, 400),
    (b'{"input": {"value": ' + b"[" * 5_000 + b"]" * 5_000 + b"}}", (200, 400, 422)),
    (b'{"input": {' + b",".join(b'"k%d": 1' % i for i in range(50_000)) + b"}}", 200),
    (b'{"input": {"value": ' + b"9" * 100_000 + b"}}", (200, 400, 422)),
    (b'{"input": {"value": "' + b"x" * 5_000_000 + b'"}}', 200),
]


@pytest.mark.parametrize("body, status", BODIES, ids=lambda b: repr(b)[:30])
def test_a_body_of_any_kind_is_answered(server, body, status):
    answer = exchange(server, post(body), timeout=30)
    assert len(statuses(answer)) == 1, answer[:300]
    assert statuses(answer)[0] in (status if isinstance(status, tuple) else (status,)), answer[:500]
    if statuses(answer)[0] >= 400:
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"], answer
    works(server)


LINES = [
    b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\r\n\r\n",
    b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\r\n" * 1000,
    b"GET http://evil/health-check HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /predictions/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET /predictions/..%2F..%2Fetc%2Fpasswd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"CONNECT evil:80 HTTP/1.1\r\nHost: evil:80\r\nConnection: close\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-%d: y\r\n" * 1 % 1 + b"A" * 200_000,
    b"GET / HTTP/1.1\r\nHost: x\r\n"
    + b"".join(b"X-%d: y\r\n" % i for i in range(30_000))
    + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 2_000_000 + b"\r\n\r\n",
    b"GET /" + b"a" * 2_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET / HTTP/1.1\rHost: x\r\r",
    b"GET / HTTP/1.1\nHost: x\nConnection: close\n\n",
]


@pytest.mark.parametrize("data", LINES, ids=lambda d: repr(d[:30]))
def test_a_request_of_any_kind_is_answered_or_hung_up_on(server, data):
    answer = exchange(server, data)
    assert all(200 <= status < 500 or status in (501, 505) for status in statuses(answer)), answer[
        :200
    ]
    assert b"root:" not in answer
    works(server)


def test_text_of_a_client_cannot_add_headers_to_the_answer(server):
    for path in (
        "/predictions/a%0d%0aSet-Cookie:%20x=1",
        "/%0d%0aSet-Cookie:%20x=1",
        "/predictions?x=%0d%0aSet-Cookie: y",
    ):
        head = exchange(
            server, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        ).partition(b"\r\n\r\n")[0]
        assert b"set-cookie" not in head.lower()
    for id in ("a\r\nSet-Cookie: x=1", "a\nb", "\x00", "é\u2028"):
        answer = server.ask("PUT", f"/predictions/{quote(id, safe='')}", {"input": {}})
        assert answer.status == 200 and answer.json["id"] == id
        assert "set-cookie" not in answer.headers


def test_forwarded_headers_contain_no_line_breaks(server, receiver):
    head = ["traceparent: 00-x", "tracestate: a=b\tc"]
    exchange(
        server, post(json.dumps({"webhook": receiver.url, "id": "x\r\nX-Evil: 1"}).encode(), *head)
    )
    receiver.wait_terminal()
    assert not any("x-evil" in headers for headers in receiver.headers)
    works(server)


def test_200_silent_connections_do_not_delay_other_clients(server):
    """Slow headers, slow bodies, nothing at all: the server closes each in time, and serves others
    meanwhile.
    """
    starts = [
        b"",
        b"POST /predictions HTTP/1.1\r\nHost: x\r\nX-",
        post(b"{", "Content-Length: 100"),
        post(b"5\r\n{", "Transfer-Encoding: chunked"),
    ]
    open_ones = []
    try:
        for i in range(200):
            connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
            connection.sendall(starts[i % len(starts)])
            open_ones.append((starts[i % len(starts)], connection))
        works(server)
        for start, connection in open_ones:
            if start:  # an idle connection may stay for --idle-timeout
                while connection.recv(65536):
                    pass
        works(server)
    finally:
        for _, connection in open_ones:
            connection.close()


def test_a_body_that_trickles_is_read_and_others_are_served_meanwhile(server):
    body = b'{"input": {"s": 0}}'
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as slow:
        slow.sendall(post(b"", f"Content-Length: {len(body)}"))
        for i in range(len(body)):
            slow.sendall(body[i : i + 1])
            if i % 5 == 0:
                works(server)
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_pipelined_requests_are_all_answered_in_order(server):
    ids = [f"pipe-{i}" for i in range(20)]
    requests = [
        post(json.dumps({"id": id}).encode()).replace(b"Connection: close\r\n", b"")
        for id in ids[:-1]
    ]
    answer = exchange(server, b"".join(requests) + post(json.dumps({"id": ids[-1]}).encode()))
    assert statuses(answer) == [200] * 20
    assert re.findall(rb'"id":"(pipe-\d+)"', answer) == [id.encode() for id in ids]


@pytest.fixture(scope="module")
def async_server(start_once):
    return start_once(model_source("faults/clients_raw_async"))


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_client_that_leaves_frees_its_slot(request, server, kind):
    server = server if kind == "sync" else request.getfixturevalue("async_server")
    late = []
    for n in range(9):
        id = f"left{n}"
        with socket.create_connection(("127.0.0.1", server.port)) as connection:
            connection.sendall(post(b'{"id": "%s", "input": {"s": 60}}' % id.encode()))
            until(
                "it runs",
                lambda id=id: "begun" in server.get(f"/predictions/{id}").json.get("logs", ""),
            )
        begin = time.monotonic()
        until("the slot is free", lambda: server.health()["concurrency"]["current"] == 0)
        late.append(time.monotonic() - begin)
        works(server)
        assert server.ended(id)["status"] == "canceled"
    assert sorted(late)[len(late) // 2] < 0.1, late


@pytest.mark.parametrize("how", ["half closed", "reset", "in the middle of the body"])
def test_a_client_may_disconnect_in_any_way(server, how):
    id = "gone-" + how.replace(" ", "-")
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        data = post(b'{"id": "%s", "input": {"s": 60}}' % id.encode())
        connection.sendall(data[:-5] if how.startswith("in the middle") else data)
        if how.startswith("in the middle"):
            connection.close()
            works(server)
            return
        until("it runs", lambda: "begun" in server.get(f"/predictions/{id}").json.get("logs", ""))
        if how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        else:
            connection.shutdown(socket.SHUT_WR)
    assert server.ended(id)["status"] == "canceled"
    works(server)


def race(count, call):
    """Call from many threads at once, and return all results."""
    found: list = []
    gate = threading.Barrier(count)

    def run(i):
        gate.wait()
        found.append(call(i))

    threads = [threading.Thread(target=run, args=[i]) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_20_puts_of_one_id_run_once(server):
    before = int(server.predict({}).json["output"].split()[1])
    answers = race(20, lambda i: server.ask("PUT", "/predictions/crowd", {"input": {"s": 0.2}}))
    assert {a.status for a in answers} <= {200, 202}
    assert server.ended("crowd")["output"] == f"run {before + 1}"
    assert server.predict({}).json["output"] == f"run {before + 2}"


def test_a_cancel_right_after_the_start_or_at_the_end_has_one_outcome(server):
    for i in range(30):
        id = f"race-{i}"
        server.ask(
            "PUT", f"/predictions/{id}", {"input": {"s": 0.01 * (i % 3)}}, Prefer="respond-async"
        )
        answers = race(2, lambda _, id=id: server.ask("POST", f"/predictions/{id}/cancel").status)
        assert set(answers) <= {200, 404}
        first = server.ended(id)
        assert first["status"] in ("succeeded", "canceled")
        again = server.ask("POST", f"/predictions/{id}/cancel").status
        assert again == (200 if first["status"] == "canceled" else 404)
        assert server.get(f"/predictions/{id}").json == first
    works(server)


def test_concurrent_creates_and_cancels_of_one_id_leave_the_server_working(server):
    def act(i):
        if i % 2:
            return server.ask("POST", "/predictions/both/cancel").status
        return server.ask("PUT", "/predictions/both", {"input": {"s": 0.05}}).status

    for _ in range(5):
        assert set(race(12, act)) <= {200, 202, 404, 409}
        server.ended("both")
    works(server)


def test_a_slow_loris_does_not_delay_the_shutdown(start):
    server = start(MODEL)
    held = []
    try:
        for data in (
            b"",
            b"GET / HT",
            post(b"{", "Content-Length: 100"),
            post(b"", "Transfer-Encoding: chunked"),
        ):
            held.append(socket.create_connection(("127.0.0.1", server.port), timeout=20))
            held[-1].sendall(data)
        works(server)
        assert server.ask("POST", "/shutdown").status == 200
        assert server.process.wait(20) == 0
    finally:
        for connection in held:
            connection.close()
