"""Webhooks of a shared queue: any process delivers the last one: docs/queue.md."""

from __future__ import annotations

import json

import pytest
from standardwebhooks import Webhook

from model_sources import model_source
from queue_harness import ASYNC, runs
from waiting import until

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    return start_fleet_once(model_source("queue/everything"), env={"COGGO_WEBHOOK_SECRET": SECRET})


def test_start_logs_and_completed_come_in_order(fleet, receiver):
    one, other = fleet.gateways
    answer = one.predict({"name": "Ada"}, id="in-order", webhook=receiver.url)
    receiver.wait_terminal()
    statuses = receiver.statuses()
    assert statuses[0] == "processing" and statuses[-1] == "succeeded"
    assert set(statuses[:-1]) == {"processing"}
    assert receiver.bodies[-1] == answer.body == other.get("/predictions/in-order").body


def test_the_filter_selects_events(fleet, receiver):
    events = {"webhook": receiver.url, "webhook_events_filter": ["start"]}
    fleet.gateways[0].predict({}, id="only-start", **events)
    fleet.gateways[0].predict({}, id="all", webhook=receiver.url)
    receiver.wait_terminal()
    got = [(body["id"], body["status"]) for body in receiver.got]
    assert ("only-start", "processing") in got and ("only-start", "succeeded") not in got


def test_every_webhook_is_signed(fleet, receiver):
    fleet.gateways[0].predict({}, id="signed", webhook=receiver.url)
    receiver.wait_terminal()
    for body, headers in zip(receiver.bodies, receiver.headers):
        assert Webhook(SECRET).verify(body.decode(), headers) == json.loads(body)


def test_each_prediction_has_one_completed(fleet, receiver):
    ids = {f"many-{n}" for n in range(40)}
    for n, id in enumerate(sorted(ids)):
        fleet.gateways[n % 2].predict(
            {}, ASYNC, id=id, webhook=receiver.url, webhook_events_filter=["completed"]
        )
    receiver.wait(len(ids))
    # Later ones are delivered after all that could still come twice.
    asked = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    fleet.gateways[0].predict({}, id="last", **asked)
    until("the last one", lambda: receiver.got[-1]["id"] == "last")
    completed = [b["id"] for b in receiver.got if b["status"] == "succeeded"]
    assert sorted(completed) == sorted({*ids, "last"})


def test_completed_is_retried_with_the_same_id(fleet, receiver):
    receiver.answer = lambda n: 500 if n == 1 else 200
    fleet.gateways[0].predict(
        {}, id="retried", webhook=receiver.url, webhook_events_filter=["completed"]
    )
    receiver.wait(2)
    assert receiver.bodies[0] == receiver.bodies[1]
    assert receiver.headers[0]["webhook-id"] == receiver.headers[1]["webhook-id"]


def test_a_canceled_prediction_has_one_completed_whether_it_ran_or_waited(
    fleet, receiver, tmp_path
):
    one, other = fleet.gateways
    given = {"until": str(tmp_path / "never")}
    for id in ("c0", "c1", "c2"):
        one.predict(given, ASYNC, id=id, webhook=receiver.url, webhook_events_filter=["completed"])
    runs(one, "c0")
    runs(one, "c1")
    for id in ("c2", "c1", "c0"):
        assert other.ask("POST", f"/predictions/{id}/cancel").status == 200
    receiver.wait(3)
    assert sorted(body["id"] for body in receiver.got) == ["c0", "c1", "c2"]
    assert set(receiver.statuses()) == {"canceled"}


def test_a_webhook_that_a_killed_worker_owed_is_delivered_by_another(start_fleet, receiver):
    """The receiver refuses it until the worker that ran the prediction is dead."""
    fleet = start_fleet(model_source("queue/everything"), workers=1, gateways=1)
    receiver.answer = lambda n: 500
    asked = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    fleet.gateways[0].predict({}, id="owed", **asked)
    receiver.wait(1)
    fleet.workers[0].kill()
    receiver.answer = lambda n: 200
    before = len(receiver.got)
    receiver.wait(before + 1)
    assert {body["id"] for body in receiver.got} == {"owed"}
    assert len(set(receiver.bodies)) == 1
