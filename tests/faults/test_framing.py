"""The server and a proxy agree where a request and an answer end on a kept connection, whatever a
client sends in them.
"""

from __future__ import annotations

import http.client
import itertools
import json
import re
import socket

import pytest

from http_harness import Answer

MODEL = """
from typing import Iterator
from cog import BasePredictor, streaming
class Predictor(BasePredictor):
    @streaming
    def predict(self, text: str = "") -> Iterator[str]:
        print(text)
        yield text
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-queue", "100")


def exchange(server, *pieces: bytes) -> tuple[list[int], bool]:
    """Send data, and return the statuses of all answers and whether the server closed the
    connection.
    """
    got, closed = b"", False
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in pieces:
                connection.sendall(piece)
            while more := connection.recv(65536):
                got += more
            closed = True
        except ConnectionError:
            closed = True
        except TimeoutError:
            pass
    return [int(n) for n in re.findall(rb"HTTP/1\.[01] (\d{3}) ", got)], closed


numbers = itertools.count()


def hidden() -> tuple[str, bytes]:
    """A request hidden in another, and the id by which its run could be found."""
    id = f"hidden-{next(numbers)}"
    body = json.dumps({"id": id, "input": {"text": "hidden"}}).encode()
    head = "POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close"
    return id, f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def head(line: str, *headers: str) -> bytes:
    return (
        "\r\n".join([line, "Host: x", "Content-Type: application/json", *headers]).encode("latin-1")
        + b"\r\n\r\n"
    )


POST, POST_1_0 = "POST /predictions HTTP/1.1", "POST /predictions HTTP/1.0"
KEEP, CHUNKED = "Connection: keep-alive", "Transfer-Encoding: chunked"
NOTHING = b"0\r\n\r\n"

#: Heads and the beginnings of their bodies; %d is the length of everything after the head. The body
#: continues with a request.
REFUSED: dict[str, tuple[bytes, bytes]] = {
    "length, coding": (head(POST, "Content-Length: 5", CHUNKED), NOTHING),
    "coding, length": (head(POST, CHUNKED, "Content-Length: 5"), NOTHING),
    "length of everything, coding": (head(POST, "Content-Length: %d", CHUNKED), NOTHING),
    "length of nothing, coding": (head(POST, "Content-Length: 0", CHUNKED), NOTHING),
    "GET, length, coding": (
        head("GET /predictions HTTP/1.1", "Content-Length: 5", CHUNKED),
        NOTHING,
    ),
    "GET, coding, length": (head("GET /livez HTTP/1.1", CHUNKED, "Content-Length: %d"), NOTHING),
    "HEAD, length, coding": (head("HEAD / HTTP/1.1", "Content-Length: 5", CHUNKED), NOTHING),
    "PUT, length, coding": (
        head("PUT /predictions/put HTTP/1.1", "Content-Length: 5", CHUNKED),
        NOTHING,
    ),
    "DELETE, length, coding": (
        head("DELETE /v1/files/x HTTP/1.1", "Content-Length: 5", CHUNKED),
        NOTHING,
    ),
    "/v1, length, coding": (
        head("POST /v1/predictions HTTP/1.1", "Content-Length: 5", CHUNKED),
        NOTHING,
    ),
    "/v1/files, length, coding": (
        head("POST /v1/files HTTP/1.1", "Content-Length: 5", CHUNKED),
        NOTHING,
    ),
    "no route, length, coding": (
        head("POST /nowhere HTTP/1.1", "Content-Length: 5", CHUNKED),
        NOTHING,
    ),
    "stream, length, coding": (
        head(POST, "Accept: text/event-stream", "Content-Length: 5", CHUNKED),
        NOTHING,
    ),
    "expect, length, coding": (
        head(POST, "Expect: 100-continue", "Content-Length: 5", CHUNKED),
        NOTHING,
    ),
    "folded coding, length": (
        head(POST, "Content-Length: %d", "Transfer-Encoding:\r\n chunked"),
        NOTHING,
    ),
    "folded coding": (head(POST, "Transfer-Encoding:\r\n\tchunked"), NOTHING),
    "folded length": (head(POST, "Content-Length:\r\n 2"), b"{}"),
    "another folded header": (head(POST, "Content-Length: 2", "X: a\r\n b"), b"{}"),
    "folded with nothing": (head(POST, "Content-Length: 2", "X: a\r\n "), b"{}"),
    "HTTP/1.0, coding": (head(POST_1_0, CHUNKED, KEEP), NOTHING),
    "HTTP/1.0, coding, nothing before": (head(POST_1_0, CHUNKED, KEEP), b""),
    "HTTP/1.0, coding, length": (head(POST_1_0, CHUNKED, "Content-Length: 0", KEEP), b""),
    "HTTP/1.0, length, coding": (head(POST_1_0, "Content-Length: 5", CHUNKED, KEEP), NOTHING),
    "HTTP/1.0, GET, coding": (head("GET /predictions HTTP/1.0", CHUNKED, KEEP), NOTHING),
    "two lengths": (head(POST, "Content-Length: 2", "Content-Length: 60"), b"{}"),
    "a length twice": (head(POST, "Content-Length: 2", "Content-Length: 2"), b"{}"),
    "a list of lengths": (head(POST, "Content-Length: 2, 2"), b"{}"),
    "a list of two lengths": (head(POST, "Content-Length: 2,%d"), b"{}"),
    "+": (head(POST, "Content-Length: +2"), b"{}"),
    "-": (head(POST, "Content-Length: -1"), b"{}"),
    "0x": (head(POST, "Content-Length: 0x2"), b"{}"),
    "_": (head(POST, "Content-Length: 0_2"), b"{}"),
    "2 2": (head(POST, "Content-Length: 2 2"), b"{}"),
    "a length without digits": (head(POST, "Content-Length: "), b"{}"),
    "a length without end": (head(POST, "Content-Length: 99999999999999999999"), b"{}"),
    "a space before the colon of a length": (head(POST, "Content-Length : 2"), b"{}"),
    "a space before the colon of a coding": (head(POST, "Transfer-Encoding : chunked"), NOTHING),
    "a tab before the colon": (head(POST, "Content-Length: 2", "X\t: y"), b"{}"),
    "a space before a header": (head(POST, "Content-Length: 2").replace(b"Host", b" Host"), b"{}"),
    "LF after a header": (head(POST, "A: b\nContent-Length: 2"), b"{}"),
    "LF after the request line": (
        head(POST, "Content-Length: 2").replace(b"\r\n", b"\n", 1),
        b"{}",
    ),
    "LF at the end of the head": (head(POST, "Content-Length: 2")[:-2] + b"\n", b"{}"),
    "LF everywhere": (head(POST, "Content-Length: 2").replace(b"\r\n", b"\n"), b"{}"),
    "CR in a header": (head(POST, "A: b\rContent-Length: %d", "Content-Length: 2"), b"{}"),
    "CR in the request line": (head(POST + "\r", "Content-Length: 2"), b"{}"),
    "NUL in a header": (head(POST, "Content-Length: 2", "X: a\0b"), b"{}"),
    "no colon": (head(POST, "Content-Length: 2", "no colon"), b"{}"),
    "two hosts": (head(POST, "Content-Length: 2", "Host: y"), b"{}"),
    "coding of another name": (head(POST, "Transfer-Encoding: xchunked"), NOTHING),
    "coding identity": (head(POST, "Transfer-Encoding: identity"), NOTHING),
    "coding identity, length": (
        head(POST, "Transfer-Encoding: identity", "Content-Length: 2"),
        b"{}",
    ),
    "coding chunked, chunked": (head(POST, "Transfer-Encoding: chunked, chunked"), NOTHING),
    "coding chunked, identity": (head(POST, "Transfer-Encoding: chunked, identity"), NOTHING),
    "coding twice": (head(POST, CHUNKED, CHUNKED), NOTHING),
    "coding, identity": (head(POST, CHUNKED, "Transfer-Encoding: identity"), NOTHING),
    "coding after VT": (head(POST, "Transfer-Encoding: \x0bchunked"), NOTHING),
    "coding of nothing": (head(POST, "Transfer-Encoding:"), NOTHING),
}


@pytest.mark.parametrize("name", REFUSED)
def test_one_request_is_not_taken_for_two(server, name):
    first, body = REFUSED[name]
    id, second = hidden()
    request = first.replace(b"%d", b"%d" % len(body + second)) + body + second
    answers, closed = exchange(server, request)
    assert closed and len(answers) == 1 and answers[0] in (400, 501), answers
    assert server.get(f"/predictions/{id}").status == 404, "the hidden request ran"


@pytest.mark.parametrize(
    "name", ["length, coding", "HTTP/1.0, coding", "another folded header", "LF everywhere"]
)
def test_one_request_is_not_taken_for_two_after_others_on_the_connection(server, name):
    first, body = REFUSED[name]
    id, second = hidden()
    upload = b'--b\r\nContent-Disposition: form-data; name="content"; filename="f"\r\n\r\n\r\n \r\n--b--\r\n'
    before = [
        head("GET /livez HTTP/1.1"),
        head(POST, "Content-Length: 2") + b"{}",
        head(POST, "Accept: text/event-stream", "Content-Length: 2") + b"{}",
        b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        b"Content-Length: %d\r\n\r\n" % len(upload) + upload,
        head("POST /nowhere HTTP/1.1", "Content-Length: 4") + b"\n\n\r\n",
        head(POST_1_0, KEEP, "Content-Length: 2") + b"{}\r\n",
    ]
    clear, refused = b"".join(before), first.replace(b"%d", b"9")
    one_by_one = clear + refused
    for pieces in (
        [clear + refused + body + second],
        [one_by_one[i : i + 1] for i in range(len(one_by_one))],
    ):
        answers, closed = exchange(server, *pieces)
        assert closed and answers == [200, 200, 200, 201, 404, 200, 400]
    assert server.get(f"/predictions/{id}").status == 404, "the hidden request ran"


CHUNKS = [
    b"2\r\n{}\r\n0\r\n\r\n",
    b"2 \t \r\n{}\r\n0\r\n\r\n",
    b" 2\r\n{}\r\n0\r\n\r\n",
    b"0x2\r\n{}\r\n0\r\n\r\n",
    b"+2\r\n{}\r\n0\r\n\r\n",
    b"-2\r\n{}\r\n0\r\n\r\n",
    b"zz\r\n{}\r\n0\r\n\r\n",
    b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    b"2;a=b\r\n{}\r\n0\r\n\r\n",
    b"2;a\n{}\r\n0\r\n\r\n",
    b"2;a\rb\r\n{}\r\n0\r\n\r\n",
    b"2\n{}\r\n0\r\n\r\n",
    b"2\r\n{}\n0\r\n\r\n",
    b"2\r\n{}0\r\n\r\n",
    b"2\r\n{}\r\n0\n\n",
    b"2\r\n{}\r\n0\r\nA: b\r\n\r\n",
    b"2\r\n{}\r\n0\r\nA: b\r\n c\r\n\r\n",
    b"2\r\n{}\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n",
    b"2\r\n{}\r\n0\r\nno colon\r\n\r\n",
    b"2\r\n{}\r\n0\r\n\n",
    b"2\r\n{}\r\n00000000000000000000\r\n\r\n",
]


@pytest.mark.parametrize("path", ["/predictions", "/v1/predictions"])
@pytest.mark.parametrize("body", CHUNKS, ids=repr)
def test_a_body_in_chunks_is_the_last_on_its_connection(server, path, body):
    id, second = hidden()
    answers, closed = exchange(server, head(f"POST {path} HTTP/1.1", CHUNKED) + body + second)
    assert closed and len(answers) == 1 and answers[0] in (200, 201, 400), answers
    assert server.get(f"/predictions/{id}").status == 404, "the hidden request ran"


def test_a_body_in_chunks_is_read_and_the_answer_says_that_it_is_the_last(server):
    body = iter([b'{"input": ', b'{"text": "in pieces"}}'])
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request(
        "POST", "/predictions", body, {"Content-Type": "application/json"}, encode_chunked=True
    )
    answer = connection.getresponse()
    assert answer.getheader("Connection") == "close"
    assert json.loads(answer.read())["output"] == ["in pieces"]
    connection.close()


def test_a_connection_is_kept_for_requests_that_come_in_any_pieces(server):
    last = head(POST, "Content-Length: 2", "Connection: close") + b"{}"
    whole = head(POST, "Content-Length: 2") + b"{}" + b"\r\n" + head("GET /livez HTTP/1.1") + last
    for size in (1, 2, 3, len(whole)):
        pieces = [whole[i : i + size] for i in range(0, len(whole), size)]
        assert exchange(server, *pieces) == ([200, 200, 200], True)


#: Texts as in answers of the server itself. In a body they must have no effect.
OWN = [
    "HTTP/1.1 417 ",
    "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n",
]


class Kept:
    """One connection for all requests."""

    def __init__(self, server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)

    def ask(self, method, path, body=None, **headers) -> Answer:
        if not isinstance(body, (bytes, type(None))):
            body, headers = (
                json.dumps(body).encode(),
                {"Content-Type": "application/json", **headers},
            )
        self._connection.request(method, path, body, headers)
        response = self._connection.getresponse()
        return Answer(
            response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        )

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def kept(server):
    made = Kept(server)
    yield made
    made.close()


def filled(size: int) -> list[str]:
    """Strings with each of these texts at every offset where a write may begin."""
    return ["." * shift + mark * (size // len(mark)) for mark in OWN for shift in range(len(mark))]


def test_the_text_of_a_client_is_never_taken_for_an_answer_of_the_server(kept):
    for number, text in enumerate(text for size in (4200, 8000) for text in filled(size)):
        made = kept.ask("POST", "/predictions", {"id": f"echo-{number}", "input": {"text": text}})
        for answer in (made, kept.ask("GET", f"/predictions/echo-{number}")):
            body = answer.json
            assert (
                body["input"]["text"] == text
                and body["output"] == [text]
                and body["logs"] == text + "\n"
            )
    assert kept.ask("GET", "/livez").json == {"status": "ok"}


def test_text_of_a_client_in_streams_and_v1_is_never_taken_for_an_answer(kept):
    for text in filled(4200) + filled(8000):
        events = kept.ask(
            "POST", "/predictions", {"input": {"text": text}}, Accept="text/event-stream"
        ).body.decode()
        last = json.loads(re.findall(r"^data: (.*)$", events, re.M)[-1])
        assert last["output"] == [text]
        made = kept.ask("POST", "/v1/predictions", {"input": {"text": text}}, Prefer="wait").json
        assert made["output"] == [text]
        found = kept.ask("GET", f"/v1/predictions/{made['id']}").json
        assert found["input"] == {"text": text} and found["output"] == [text]
        told = kept.ask("GET", f"/v1/predictions/{made['id']}/stream").body.decode()
        assert "event: done" in told and "application/json" not in told
    assert kept.ask("GET", "/livez").json == {"status": "ok"}


def test_an_uploaded_file_is_never_taken_for_an_answer(kept):
    for text in filled(300_000)[::7]:
        content = text.encode()
        form = (
            b'--b\r\nContent-Disposition: form-data; name="content"; filename="a"\r\n\r\n'
            + content
            + b"\r\n--b--\r\n"
        )
        made = kept.ask(
            "POST", "/v1/files", form, **{"Content-Type": "multipart/form-data; boundary=b"}
        ).json
        assert kept.ask("GET", f"/v1/files/{made['id']}/download").body == content
    assert kept.ask("GET", "/livez").json == {"status": "ok"}


def test_answers_of_the_server_that_are_not_errors_stay_unchanged(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        answers = connection.makefile("rb")
        for _ in range(2):
            connection.sendall(head(POST, "Expect: 100-continue", "Content-Length: 2"))
            assert (answers.readline(), answers.readline()) == (
                b"HTTP/1.1 100 Continue\r\n",
                b"\r\n",
            )
            connection.sendall(b"{}")
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            length = int(http.client.parse_headers(answers)["Content-Length"])
            assert json.loads(answers.read(length))["status"] == "succeeded"
        connection.sendall(head("OPTIONS * HTTP/1.1", "Connection: close"))
        assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
        assert http.client.parse_headers(answers)["Content-Length"] == "0" and answers.read() == b""


UNREAD = {
    400: b"GET / HTTP/1.1\r\n\r\n",
    417: head(POST, "Expect: tea", "Content-Length: 2") + b"{}",
    431: head("GET / HTTP/1.1", "X: " + "y" * 100_000),
    501: head(POST, "Transfer-Encoding: gzip"),
    505: b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("status", UNREAD)
@pytest.mark.parametrize(
    "before", [b"", head("GET /livez HTTP/1.1"), head(POST, "Content-Length: 2") + b"{}"]
)
def test_a_malformed_request_has_an_error_in_json(server, status, before):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(before + UNREAD[status])
        got = connection.makefile("rb").read()
    if before:
        assert got.startswith(b"HTTP/1.1 200 ")
        got = got[got.index(b"HTTP/1.1", 1) :]
    first, _, body = got.partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 %d " % status), got
    assert (
        b"\r\nContent-Length: %d" % len(body) in first
        and b"\r\nContent-Type: application/json" in first
    )
    assert json.loads(body)["detail"]


def test_the_answer_to_a_refused_head_says_why(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(head(POST, "Content-Length: 2", CHUNKED))
        body = connection.makefile("rb").read().partition(b"\r\n\r\n")[2]
    assert "Transfer-Encoding" in json.loads(body)["detail"]
