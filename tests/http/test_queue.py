"""Predictions that wait for a slot: docs/http-api.md#waiting-for-a-slot."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

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
    """The server, with its slot taken until the test ends."""
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


def test_queued_predictions_run_in_order(busy):
    wait(busy, "a", "b", "c")
    for id in ("a", "b", "c"):
        body = busy.get(f"/predictions/{id}").json
        assert body["status"] == "starting" and body["started_at"] is None
    assert busy.health()["status"] == "BUSY" and busy.get("/readyz").status == 200
    busy.ask("POST", "/predictions/first/cancel")
    assert busy.ended("c")["output"].endswith("a,b,c")


def test_a_full_queue_is_429_with_retry_after(busy):
    wait(busy, "a", "b", "c")
    refused = busy.predict({}, id="d")
    assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
    assert refused.json["detail"] == refused.json["error"] and refused.json["status"] == "failed"
    assert busy.get("/predictions/d").status == 404
    assert busy.ask("PUT", "/predictions/a", {"input": {"name": "a"}}).status == 202, (
        "a queued prediction can be found"
    )
    assert busy.predict({}, id="a").status == 409
    busy.ask("POST", "/predictions/b/cancel")
    busy.ended("b")
    wait(busy, "d")


def test_a_queued_prediction_can_be_canceled(busy, receiver):
    busy.predict({"name": "a"}, ASYNC, id="a", webhook=receiver.url)
    wait(busy, "b")
    assert busy.ask("POST", "/predictions/a/cancel").status == 200
    body = busy.ended("a")
    assert (body["status"], body["output"], body["started_at"], body["error"]) == (
        "canceled",
        None,
        None,
        None,
    )
    assert body["metrics"]["predict_time"] == 0
    assert receiver.wait_terminal() == body and len(receiver.got) == 1
    busy.ask("POST", "/predictions/first/cancel")
    assert busy.ended("b")["status"] == "succeeded"


def test_a_synchronous_request_waits_too_and_leaves_the_queue_with_its_client(busy):
    import http.client

    leaving = http.client.HTTPConnection("127.0.0.1", busy.port)
    leaving.request(
        "PUT", "/predictions/a", '{"input": {"name": "a"}}', {"Content-Type": "application/json"}
    )
    until("it waits", lambda: busy.get("/predictions/a").status == 200)
    leaving.close()
    assert busy.ended("a")["status"] == "canceled"


def test_invalid_input_takes_no_place_in_the_queue(busy):
    assert busy.predict({"s": "x"}).status == 422
    wait(busy, "a", "b", "c")


@pytest.fixture(scope="module")
def default(start_once):
    return start_once(MODEL)


@pytest.fixture
def taken(default):
    """A server without --max-queue whose slot is taken; the test must cancel predictions
    that wait.
    """
    default.predict({"s": 60, "name": "first"}, ASYNC, id="first")
    until("it runs", lambda: default.get("/predictions/first").json["status"] == "processing")
    yield default
    default.ask("POST", "/predictions/first/cancel")
    until("it is idle", lambda: default.health()["status"] == "READY")


def v1(server, input=None, path="/v1/predictions", **headers):
    return server.ask("POST", path, {"version": "0" * 64, "input": input or {}}, **headers)


@pytest.mark.parametrize("prefer", ["", "respond-async", "wait"])
def test_without_max_queue_the_answer_is_409_and_names_the_flag(taken, prefer):
    refused = taken.predict({}, {"Prefer": prefer})
    assert refused.status == 409 and "--max-queue" in refused.json["detail"]
    assert taken.get("/predictions").json["results"][0]["id"] == "first", "nothing is left of it"


def test_64_predictions_of_v1_wait_in_order_without_the_flag(taken):
    named = [f"/v1/{kind}/acme/thing/predictions" for kind in ("models", "deployments")]
    paths = ["/v1/predictions", *named]
    made = [v1(taken, {"name": str(n)}, paths[n % 3]) for n in range(64)]
    assert {(answer.status, answer.json["status"]) for answer in made} == {(201, "starting")}
    for path in ("/v1/predictions", paths[1]):
        refused = v1(taken, path=path, Prefer="wait")
        assert refused.status == 429 and int(refused.headers["retry-after"]) >= 1
        assert refused.json["title"] and "--max-queue" in refused.json["detail"]
    assert taken.predict({}).status == 409
    taken.ask("POST", f"/v1/predictions/{made[5].json['id']}/cancel")
    taken.ended(made[5].json["id"])
    last = v1(taken, {"name": "last"})
    assert last.status == 201, "there is a free place again"
    taken.ask("POST", "/predictions/first/cancel")
    assert taken.ended(last.json["id"])["output"] == "61,62,63,last"
    assert {
        taken.ended(answer.json["id"])["status"] for answer in made if answer is not made[5]
    } == {"succeeded"}


def test_clients_of_v1_that_ask_at_once_are_all_served(default):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda n: v1(default, {"s": 0.02}, Prefer="wait"), range(20)))
    assert {(answer.status, answer.json["status"]) for answer in answers} == {(201, "succeeded")}


def test_the_queue_of_v1_without_the_flag_is_bounded_in_bytes_too(taken):
    large = b'{"input": {"name": "' + b"x" * (100 << 20) + b'"}}'
    made = [
        taken.ask("POST", "/v1/predictions", large, Content_Type="application/json")
        for _ in range(3)
    ]
    assert [answer.status for answer in made] == [201, 201, 429]
    small = v1(taken)
    assert small.status == 201, "there is room for it besides them"
    for answer in (*made[:2], small):
        assert taken.ask("POST", f"/predictions/{answer.json['id']}/cancel").status == 200


@pytest.mark.parametrize(("places", "status"), [(0, 409), (1, 429)])
def test_with_the_flag_v1_shares_the_same_queue(start, places, status):
    server = start(MODEL, "--max-queue", str(places))
    server.predict({"s": 60}, ASYNC, id="first")
    waiting = [v1(server) for _ in range(places)]
    assert [answer.status for answer in waiting] == [201] * places
    for refused in (v1(server), server.predict({})):
        assert refused.status == status and "--max-queue" in refused.json["detail"]
    server.ask("POST", "/predictions/first/cancel")
    for answer in waiting:
        assert server.ended(answer.json["id"])["status"] == "succeeded"
