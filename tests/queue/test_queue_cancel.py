"""Cancels and deadlines, wherever the prediction is: docs/queue.md."""

from __future__ import annotations

import base64
import http.client
import json
import re
import time

import pytest

from nats_client import Nats
from queue_harness import ASYNC, runs, token
from waiting import until

CANCELED = ("canceled", None)


@pytest.fixture
def busy(one, other, tmp_path):
    """A gateway whose workers are busy until the test has ended."""
    for id in ("busy-0", "busy-1"):
        assert one.predict({"until": str(tmp_path / "free")}, ASYNC, id=id).status == 202
    for id in ("busy-0", "busy-1"):
        runs(other, id)
    yield one
    (tmp_path / "free").touch()
    for id in ("busy-0", "busy-1"):
        other.ended(id)


def ended(server, id):
    found = server.ended(id)
    assert found["completed_at"]
    return found["status"], found.get("error")


def test_what_runs_is_canceled_at_another_gateway(one, other):
    one.predict({"s": 60}, ASYNC, id="running")
    runs(one, "running")
    assert other.ask("POST", "/predictions/running/cancel").status == 200
    assert ended(one, "running") == ended(other, "running") == CANCELED


def test_the_broker_refuses_no_end_of_what_was_canceled(fleet, one, other):
    """The worker is told which sequence its claim has since the cancel is noted in it."""
    one.predict({"s": 60}, ASYNC, id="told")
    runs(one, "told")
    broker = Nats(fleet.broker.url)
    broker.subscribe("coggo.p.*.told")
    assert other.ask("POST", "/predictions/told/cancel").status == 200
    assert ended(one, "told") == CANCELED
    states = [re.search(rb"Coggo-State: (\w+)", m)[1].decode() for m in broker.heard()]
    assert states == ["claimed", "ended"]
    broker.close()


def test_a_gateway_that_tells_the_reason_alone_is_understood(fleet, one):
    one.predict({"s": 60}, ASYNC, id="reason")
    runs(one, "reason")
    broker = Nats(fleet.broker.url)
    broker.subscribe("coggo.c.*.reason")
    run = broker.api("STREAM.MSG.GET.COGGO_P", last_by_subj=f"coggo.p.{token(fleet.name)}.reason")
    headers = base64.b64decode(run["message"]["hdrs"]).decode()
    run = re.search(r"Coggo-Run: (\S+)", headers)[1]
    broker.publish(f"coggo.c.{token(fleet.name)}.reason", Coggo_Run=run, Coggo_Cancel="client")
    assert ended(one, "reason") == CANCELED
    broker.close()


def test_what_waits_is_canceled_and_never_runs(busy, other, tmp_path):
    busy.predict({"runs": str(tmp_path / "runs")}, ASYNC, id="waiting")
    assert other.ask("POST", "/predictions/waiting/cancel").status == 200
    assert ended(busy, "waiting") == ended(other, "waiting") == CANCELED
    (tmp_path / "free").touch()
    assert other.predict({}).status == 200, "a worker is free"
    assert not (tmp_path / "runs").exists()


def test_a_cancel_ends_the_request_that_waits_at_another_gateway(one, other):
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
    body = json.dumps({"id": "watched", "input": {"s": 60}})
    connection.request("POST", "/predictions", body, {"Content-Type": "application/json"})
    until("it is there", lambda: other.get("/predictions/watched").status == 200)
    runs(other, "watched")
    assert other.ask("POST", "/predictions/watched/cancel").status == 200
    assert json.loads(connection.getresponse().read())["status"] == "canceled"
    connection.close()


def test_a_cancel_again_succeeds_and_that_of_another_end_does_not(one, other):
    one.predict({"s": 60}, ASYNC, id="again")
    runs(one, "again")
    for server in (one, other, one):
        assert server.ask("POST", "/predictions/again/cancel").status == 200
        ended(server, "again")
    one.predict({}, id="succeeded")
    assert other.ask("POST", "/predictions/succeeded/cancel").status == 404
    assert other.ask("POST", "/predictions/unknown/cancel").status == 404


def test_cancels_go_on_to_succeed_while_the_prediction_ends(one):
    for n in range(20):
        one.predict({"s": 60}, ASYNC, id=f"many-{n}")
        runs(one, f"many-{n}")
        answers = [one.ask("POST", f"/predictions/many-{n}/cancel").status for _ in range(30)]
        assert set(answers) == {200}, answers


def test_the_slot_is_free_after_a_cancel(fleet, one, other):
    for id in ("full-0", "full-1"):
        one.predict({"s": 60}, ASYNC, id=id)
        runs(one, id)
    for id in ("full-0", "full-1"):
        other.ask("POST", f"/predictions/{id}/cancel")
    assert one.predict({"name": "next"}).json["output"] == "hello next"


def test_a_put_and_a_client_that_leaves_at_once_agree(busy, other):
    """Whichever comes first: a PUT that was accepted is not canceled by somebody else's leaving."""
    headers = {"Content-Type": "application/json"}
    accepted = []
    for n in range(30):
        path = f"/predictions/both-{n}"
        connection = http.client.HTTPConnection("127.0.0.1", busy.port, timeout=30)
        connection.request("PUT", path, json.dumps({"input": {}}), headers)
        until("it is there", lambda path=path: other.get(path).status == 200)
        connection.close()
        time.sleep(n / 10_000)  # from before the gateway has noticed to after it has canceled
        answer = other.ask("PUT", path, {"input": {}}, **ASYNC)
        assert answer.status in (202, 409), answer
        if answer.status == 202:
            accepted.append(path)
    for path in accepted:
        assert other.get(path).json["status"] == "starting"
        other.ask("POST", f"{path}/cancel")


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_client_that_leaves_cancels_what_runs(one, other, method):
    id = f"left-{method}"
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
    path = "/predictions" if method == "POST" else f"/predictions/{id}"
    body = json.dumps({"id": id, "input": {"s": 60}})
    connection.request(method, path, body, {"Content-Type": "application/json"})
    until("it is there", lambda: other.get(f"/predictions/{id}").status == 200)
    runs(other, id)
    connection.close()
    assert ended(other, id) == CANCELED


def test_a_client_that_leaves_cancels_what_waits(busy, other, tmp_path):
    connection = http.client.HTTPConnection("127.0.0.1", busy.port, timeout=30)
    body = json.dumps({"id": "left", "input": {"runs": str(tmp_path / "runs")}})
    connection.request("POST", "/predictions", body, {"Content-Type": "application/json"})
    until("it is there", lambda: other.get("/predictions/left").status == 200)
    connection.close()
    assert ended(other, "left") == CANCELED
    assert not (tmp_path / "runs").exists()


def test_a_client_that_leaves_cancels_nothing_that_was_asked_for_elsewhere(one, other, tmp_path):
    given = {"until": str(tmp_path / "end")}
    connection = http.client.HTTPConnection("127.0.0.1", one.port, timeout=30)
    body = json.dumps({"input": given})
    connection.request("PUT", "/predictions/kept", body, {"Content-Type": "application/json"})
    until("it is there", lambda: other.get("/predictions/kept").status == 200)
    runs(other, "kept")
    assert other.ask("PUT", "/predictions/kept", {"input": given}, **ASYNC).status == 202
    connection.close()
    # It would be canceled as soon as the gateway sees that the client has left. Another client that
    # leaves this gateway now has been noticed later than the first one.
    test_a_client_that_leaves_cancels_what_runs(one, other, "POST")
    assert other.get("/predictions/kept").json["status"] == "processing"
    (tmp_path / "end").touch()
    assert ended(other, "kept") == ("succeeded", None)


def test_a_deadline_counts_from_the_acceptance_for_what_waits_and_for_what_runs(
    one, other, tmp_path
):
    late = {"s": 60, "runs": str(tmp_path / "runs")}
    one.predict(late, {"Cancel-After": "8s", **ASYNC}, id="runs")
    runs(other, "runs")
    one.predict({"until": str(tmp_path / "free")}, ASYNC, id="first")
    runs(other, "first")
    one.predict(late, {"Cancel-After": "8s", **ASYNC}, id="runs later")
    one.predict(late, {"Cancel-After": "5s", **ASYNC}, id="waits")
    (tmp_path / "free").touch()
    runs(other, "runs%20later")
    assert ended(other, "waits") == ("canceled", "canceled at its deadline of 5s")
    for id in ("runs", "runs%20later"):
        assert ended(other, id) == ("canceled", "canceled at its deadline of 8s")
    assert other.predict({}).status == 200, "a worker is free"
    assert len((tmp_path / "runs").read_text().split()) == 2, "what waited ran"


def test_the_deadline_of_a_run_does_not_end_a_later_one_of_the_same_id(one, other, tmp_path):
    one.ask("PUT", "/predictions/reused", {"input": {}}, **{"Cancel-After": "5s"})
    for id in ("full-0", "full-1"):
        one.predict({"until": str(tmp_path / "free")}, ASYNC, id=id)
        runs(other, id)
    again = {"input": {"name": "again"}}
    one.ask("PUT", "/predictions/reused", again, **{"Cancel-After": "60s", **ASYNC})
    one.predict({}, {"Cancel-After": "6s", **ASYNC}, id="last")
    assert ended(other, "last") == ("canceled", "canceled at its deadline of 6s")
    assert other.get("/predictions/reused").json["status"] == "starting"
    (tmp_path / "free").touch()
    assert ended(other, "reused") == ("succeeded", None)
