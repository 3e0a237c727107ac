"""Section 15, queue: predictions that wait for a slot."""

from __future__ import annotations

import pytest

from waiting import until

MODEL = """
import time
class Predictor:
    def setup(self):
        self.order = []
    def predict(self, name: str = "", s: float = 0) -> str:
        time.sleep(s)
        self.order.append(name)
        return ",".join(self.order[-4:])
"""
ASYNC = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--max-queue", "3")


@pytest.fixture
def busy(server):
    """The server with its slot taken, until the test has ended."""
    server.predict({"s": 60, "name": "first"}, ASYNC, id="first")
    until("it runs", lambda: server.get("/predictions/first").json["status"] == "processing")
    yield server
    for id in ("first", "a", "b", "c", "d"):
        server.ask("POST", f"/predictions/{id}/cancel")
    until("it is idle", lambda: server.health()["status"] == "READY")


def wait(server, *ids):
    for id in ids:
        answer = server.predict({"name": id}, ASYNC, id=id)
        assert answer.status == 202 and answer.json["status"] == "starting"


def test_they_wait_and_run_in_order(busy):
    wait(busy, "a", "b", "c")
    for id in ("a", "b", "c"):
        body = busy.get(f"/predictions/{id}").json
        assert body["status"] == "starting" and body["started_at"] is None
    assert busy.health()["status"] == "BUSY" and busy.get("/readyz").status == 200
    busy.ask("POST", "/predictions/first/cancel")
    assert busy.ended("c")["output"].endswith("a,b,c")


def test_beyond_the_queue_is_429_that_says_when_to_come_again(busy):
    wait(busy, "a", "b", "c")
    refused = busy.predict({}, id="d")
    assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
    assert refused.json["detail"] == refused.json["error"] and refused.json["status"] == "failed"
    assert busy.get("/predictions/d").status == 404
    assert busy.ask("PUT", "/predictions/a", {"input": {"name": "a"}}).status == 202, "what waits is known"
    assert busy.predict({}, id="a").status == 409
    busy.ask("POST", "/predictions/b/cancel")
    busy.ended("b")
    wait(busy, "d")


def test_what_waits_can_be_canceled(busy, receiver):
    busy.predict({"name": "a"}, ASYNC, id="a", webhook=receiver.url)
    wait(busy, "b")
    assert busy.ask("POST", "/predictions/a/cancel").status == 200
    body = busy.ended("a")
    assert (body["status"], body["output"], body["started_at"], body["error"]) == ("canceled", None, None, None)
    assert body["metrics"]["predict_time"] == 0
    assert receiver.wait_terminal() == body and len(receiver.got) == 1
    busy.ask("POST", "/predictions/first/cancel")
    assert busy.ended("b")["status"] == "succeeded"


def test_a_synchronous_request_waits_too_and_leaves_the_queue_with_its_client(busy):
    import http.client

    leaving = http.client.HTTPConnection("127.0.0.1", busy.port)
    leaving.request("PUT", "/predictions/a", '{"input": {"name": "a"}}', {"Content-Type": "application/json"})
    until("it waits", lambda: busy.get("/predictions/a").status == 200)
    leaving.close()
    assert busy.ended("a")["status"] == "canceled"


def test_invalid_input_takes_no_place(busy):
    assert busy.predict({"s": "x"}).status == 422
    wait(busy, "a", "b", "c")


def test_without_a_queue_it_is_409(start_once):
    server = start_once(MODEL)
    server.predict({"s": 60}, ASYNC, id="first")
    assert server.predict({}).status == 409
    server.ask("POST", "/predictions/first/cancel")
    server.ended("first")
