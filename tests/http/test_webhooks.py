"""Section 7: webhooks."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from waiting import until

MODEL = """
import os, time
from typing import Iterator
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, n: int = 3, pause: float = 0.0, end: str = "") -> Iterator[str]:
        for i in range(n):
            print("line", i)
            yield str(i)
            time.sleep(pause)
        if end == "raise":
            raise ValueError("boom")
        if end == "die":
            os.kill(os.getpid(), 9)
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, env={"WEBHOOK_AUTH_TOKEN": "t0ken"})


ASYNC = {"Prefer": "respond-async"}


def test_the_order_of_events_and_what_they_hold(server, receiver):
    answer = server.predict({"n": 4, "pause": 0.3}, webhook=receiver.url)
    receiver.wait_terminal()
    first, *partial, last = receiver.got
    assert first["status"] == "processing" and first["output"] is None and first["logs"] == ""
    assert last == answer.json and last["output"] == ["0", "1", "2", "3"]
    assert partial and all(body["status"] == "processing" for body in partial)
    outputs = [body["output"] or [] for body in partial]
    assert outputs == sorted(outputs, key=len), "outputs are cumulative"
    assert len(partial) <= 5, "throttled"


@pytest.mark.parametrize(
    ("events", "want"),
    [
        (["completed"], {"succeeded"}),
        (["start"], {"processing"}),
        (["start", "completed"], {"processing", "succeeded"}),
        ([], set()),
    ],
)
def test_the_filter(server, receiver, events, want):
    server.predict({}, webhook=receiver.url, webhook_events_filter=events)
    server.predict({}, id="later", webhook=receiver.url, webhook_events_filter=["completed"])
    until("the later one has come", lambda: any(b["id"] == "later" for b in receiver.got))
    assert {b["status"] for b in receiver.got if b["id"] != "later"} == want
    assert len([b for b in receiver.got if b["id"] != "later"]) == len(want)


def test_the_last_partial_state_is_sent_when_the_interval_ends(server, receiver):
    server.predict({"n": 2, "pause": 1.2}, ASYNC, webhook=receiver.url, webhook_events_filter=["output"])
    until("the second item came by itself", lambda: any(b["output"] == ["0", "1"] for b in receiver.got))
    until("it has ended", lambda: server.health()["status"] == "READY")


def test_no_throttle(start, receiver):
    server = start(MODEL, env={"COG_THROTTLE_RESPONSE_INTERVAL": "0"})
    server.predict({"n": 5, "pause": 0.05}, webhook=receiver.url, webhook_events_filter=["output"])
    until("each was sent", lambda: [len(b["output"]) for b in receiver.got] == [1, 2, 3, 4, 5])


@pytest.mark.parametrize(("end", "status"), [("raise", "failed"), ("die", "failed")])
def test_completed_comes_once_however_it_ends(server, receiver, end, status):
    server.wait_status("READY")
    server.predict({"end": end}, webhook=receiver.url)
    last = receiver.wait_terminal()
    assert last["status"] == status and last["error"] and last["output"] == ["0", "1", "2"] and "line 2" in last["logs"]
    server.wait_status("READY")
    server.predict({}, id="later", webhook=receiver.url)
    until("a later one has come", lambda: any(b["id"] == "later" and b["status"] == "succeeded" for b in receiver.got))
    ours = [b["status"] for b in receiver.got if b["id"] != "later"]
    assert [s for s in ours if s != "processing"] == [status] and ours[-1] == status


def test_a_single_value_is_sent_as_itself(start, receiver):
    server = start("class Predictor:\n    def predict(self) -> str:\n        return 'one'\n")
    server.predict({}, webhook=receiver.url)
    assert receiver.wait_terminal()["output"] == "one"


def test_headers(server, receiver):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    server.predict({}, {"traceparent": trace, "tracestate": "a=b"}, webhook=receiver.url)
    receiver.wait_terminal()
    for headers in receiver.headers:
        assert headers["content-type"] == "application/json"
        assert headers["user-agent"].startswith("coggo/")
        assert headers["authorization"] == "Bearer t0ken"
        assert (headers["traceparent"], headers["tracestate"]) == (trace, "a=b")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, None])
def test_completed_is_tried_again(server, receiver, status):
    receiver.answer = lambda n: status if n < 3 else 200
    server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"])
    receiver.wait(3)
    assert receiver.got[0] == receiver.got[2]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 501])
def test_a_refusal_is_final(server, receiver, status):
    receiver.answer = lambda n: status
    server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"])
    receiver.wait(1)
    time.sleep(0.5)  # nothing to wait for: it must not come
    assert len(receiver.got) == 1


def test_partial_events_are_not_tried_again(server, receiver):
    receiver.answer = lambda n: 500 if n == 1 else 200
    server.predict({}, webhook=receiver.url, webhook_events_filter=["start", "completed"])
    receiver.wait_terminal()
    assert receiver.statuses() == ["processing", "succeeded"]


def test_a_receiver_that_hangs_holds_nothing(server, receiver):
    release = threading.Event()
    receiver.answer = lambda n: 200 if release.wait(30) else 200
    for n in range(5):
        assert server.predict({}, webhook=receiver.url, id=f"hang{n}").json["status"] == "succeeded"
        assert server.health()["status"] == "READY"
    server.predict({"n": 1, "pause": 60}, ASYNC, webhook=receiver.url, id="canceled")
    assert server.ask("POST", "/predictions/canceled/cancel").status == 200
    assert server.ended("canceled")["status"] == "canceled"
    release.set()
    until("all ends were told", lambda: len([b for b in receiver.got if b["status"] != "processing"]) == 6)


def test_a_receiver_that_is_not_there_holds_nothing(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for _ in range(3):
        assert server.predict({}, webhook=f"http://127.0.0.1:{port}/").json["status"] == "succeeded"
    assert server.health()["status"] == "READY"


def test_many_predictions_with_a_receiver_that_often_fails(start, receiver):
    server = start(
        "class Predictor:\n    async def predict(self, n: int) -> int:\n        return n\n", "--max-concurrency", "64"
    )
    receiver.answer = lambda n: 503 if n % 3 == 0 else 200
    accepted = []
    for n in range(300):
        if (
            server.predict(
                {"n": n}, ASYNC, id=f"p{n}", webhook=receiver.url, webhook_events_filter=["completed"]
            ).status
            == 202
        ):
            accepted.append(f"p{n}")
    until("each end was told", lambda: {b["id"] for b in receiver.got} >= set(accepted), 30)
    refused = [n for n in range(1, len(receiver.got) + 1) if n % 3 == 0]
    until("each refusal was made good", lambda: len(receiver.got) >= len(accepted) + len(refused), 30)
    for body in receiver.got:
        assert body["status"] == "succeeded" and body["id"] == f"p{body['output']}"
