"""Messages that another version, or a user of the broker with few rights, may have written:
docs/protocol.md, "The queue".
"""

from __future__ import annotations

import base64
import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from http_events import Stream
from model_sources import model_source
from nats_client import Nats
from queue_harness import ASYNC, runs, token
from waiting import until

#: More bytes than any machine has.
HUGE = 1 << 60


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    return start_fleet_once(model_source("queue/everything"), workers=1, gateways=1)


@pytest.fixture
def gateway(fleet):
    return fleet.gateways[0]


@pytest.fixture
def nats(fleet):
    client = Nats(fleet.broker.url)
    yield client
    client.close()


def end(fleet, nats, id, body, **headers):
    """Store an end with these headers, as a worker might."""
    nats.request(
        f"coggo.p.{token(fleet.name)}.{id}",
        body,
        Coggo_Format="1",
        Coggo_State="ended",
        Coggo_Run=id,
        Coggo_Attempt="1",
        Coggo_Turn="1",
        Coggo_Method="predict",
        **headers,
    )


def snapshot(id):
    found = {"id": id, "input": {}, "output": ["a"], "logs": "", "status": "succeeded"}
    return json.dumps(found | {"created_at": "2026-01-02T03:04:05.000000+00:00"}).encode()


RECORDS = [
    {"first": 2, "log_at": (1 << 63) - 1, "events": []},
    {"first": 2, "item_at": (1 << 63) - 1, "events": [(1 << 63) - 1]},
    {"first": 2, "items": 1, "item_at": (1 << 63) - 1, "events": []},
    {"first": 2, "log_at": 1, "events": [{"kind": "log", "len": (1 << 63) - 1}]},
]


@pytest.mark.parametrize("record", RECORDS, ids=range(len(RECORDS)))
def test_a_record_that_does_not_fit_its_end_ends_no_gateway(fleet, gateway, nats, record):
    id = f"record-{RECORDS.index(record)}"
    body = snapshot(id)
    end(fleet, nats, id, body + json.dumps(record).encode(), Coggo_Events=str(len(body)))
    assert gateway.get(f"/predictions/{id}").json["output"] == ["a"]
    with Stream(gateway.port, "GET", f"/predictions/{id}/stream") as stream:
        assert stream.status >= 500
    assert gateway.predict({}).status == 200


@pytest.mark.parametrize("header", ["Coggo_Object", "Coggo_Record"])
def test_an_end_that_claims_to_be_huge_ends_no_gateway(fleet, gateway, nats, header):
    parts = {"text": [0, HUGE], "input": [10, HUGE - 100], "output": [HUGE - 50, 10]}
    parts["files"] = [20, HUGE - 200]
    id = header
    given = {header: f"nothing {HUGE} 1000", "Coggo_Parts": json.dumps(parts)}
    end(fleet, nats, id, snapshot(id), **given)
    with Stream(gateway.port, "GET", f"/predictions/{id}/stream") as stream:
        assert stream.status >= 400
    assert gateway.predict({}).status == 200


def test_a_request_that_claims_to_be_huge_ends_no_worker(fleet, gateway, nats):
    nats.request(
        f"coggo.q.{token(fleet.name)}.0.huge",
        Coggo_Format="1",
        Coggo_Run="huge",
        Coggo_After="0",
        Coggo_Object=f"nothing {HUGE} 1000",
    )
    assert gateway.predict({}).status == 200
    until("it is gone", lambda: gateway.get("/queue").json["backlog"] == 0)
    assert fleet.workers[0].predict({}).status == 200


def test_a_control_message_of_a_later_version_cancels_nothing(fleet, gateway, nats, tmp_path):
    gateway.predict({"until": str(tmp_path / "gate")}, ASYNC, id="later")
    runs(gateway, "later")
    subject = f"coggo.p.{token(fleet.name)}.later"
    claim = nats.api("STREAM.MSG.GET.COGGO_P", last_by_subj=subject)["message"]
    run = headers_of(claim)["Coggo-Run"]
    nats.publish(f"coggo.c.{token(fleet.name)}.later", Coggo_Run=run, Coggo_Pause="1")
    nats.publish(f"coggo.c.{token(fleet.name)}.later", Coggo_Run=run, Coggo_Follow="all")
    (tmp_path / "gate").touch()
    assert gateway.ended("later")["status"] == "succeeded"


def test_an_end_of_the_oldest_form_ends_who_waits_at_any_gateway(fleet, gateway, nats, tmp_path):
    """Workers that do not know of turns leave their header out: docs/protocol.md, The queue."""
    with ThreadPoolExecutor() as threads:
        waits = threads.submit(
            gateway.ask, "PUT", "/predictions/old", {"input": {"until": str(tmp_path / "gate")}}
        )
        until("it is there", lambda: gateway.get("/predictions/old").status == 200)
        runs(gateway, "old")
        store_again(
            fleet,
            nats,
            "old",
            body=snapshot("old"),
            Coggo_Turn=None,
            Coggo_Host=None,
            Coggo_State="ended",
        )
        assert waits.result(20).json["output"] == ["a"]
    (tmp_path / "gate").touch()
    assert gateway.get("/predictions/old").json["output"] == ["a"]
    assert fleet.gateway().get("/predictions/old").json["output"] == ["a"]


UNREADABLE = {
    "format": {"Coggo_Format": "2"},
    "kind": {"Coggo_State": "paused"},
    "run": {"Coggo_Run": None},
    "attempt": {"Coggo_Attempt": None},
}


@pytest.mark.parametrize("why", UNREADABLE)
def test_a_state_that_can_not_be_read_is_an_error_that_says_so(fleet, gateway, nats, why):
    id = f"unreadable-{why}"
    end(fleet, nats, id, snapshot(id))
    assert gateway.get(f"/predictions/{id}").status == 200
    store_again(fleet, nats, id, **UNREADABLE[why])
    for path in (f"/predictions/{id}", f"/predictions/{id}/stream"):
        answer = gateway.get(path)
        assert answer.status == 503 and "can't read" in answer.json["detail"], answer
    assert gateway.ask("PUT", f"/predictions/{id}", {"input": {}}).status == 503


def test_what_a_worker_can_not_read_comes_again_after_a_moment(start_fleet, tmp_path):
    """And not at once, again and again, when the worker that had it is lost."""
    model = model_source("queue/everything")
    fleet = start_fleet(model, workers=1, gateways=1)
    nats = Nats(fleet.broker.url)
    fleet.gateways[0].predict({"until": str(tmp_path / "gate")}, ASYNC, id="later")
    runs(fleet.gateways[0], "later")
    store_again(fleet, nats, "later", Coggo_Format="2")
    fleet.workers[0].kill()
    second = fleet.worker(model, name=fleet.name)
    consumer = f"CONSUMER.INFO.COGGO_Q.{token(fleet.name)}"
    delivered = lambda: nats.api(consumer)["delivered"]["consumer_seq"]  # noqa: E731
    until("it comes again", lambda: delivered() > 2, 30)
    before = delivered()
    time.sleep(2)
    assert delivered() - before <= 3
    second.kill()
    nats.close()


def headers_of(message):
    lines = base64.b64decode(message["hdrs"]).decode().split("\r\n")
    return dict(line.split(": ", 1) for line in lines if ": " in line)


def test_a_webhook_of_a_later_version_is_left_to_others(fleet, gateway, nats):
    nats.request("coggo.h.other.later", Coggo_Format="2", Coggo_Run="later", Coggo_Hook="{}")
    logs = lambda: gateway.log() + fleet.workers[0].log()  # noqa: E731
    until("it was looked at", lambda: "format that this version does not know" in logs())
    assert nats.api("STREAM.INFO.COGGO_H")["state"]["messages"] == 1


WAITS = """
import asyncio, os
class Predictor:
    async def predict(self, until: str) -> str:
        while not os.path.exists(until):
            await asyncio.sleep(0.01)
        return "x"
"""


def test_a_cancel_that_was_missed_counts_beside_states_of_a_later_version(start_fleet, tmp_path):
    """A worker looks at all that it runs once its broker is back."""
    fleet = start_fleet(WAITS, "--max-concurrency", "13", workers=1, gateways=1)
    gateway = fleet.gateways[0]
    nats = Nats(fleet.broker.url)
    changes = {f"later{n}": {"Coggo_Format": "2"} for n in range(12)}
    changes["canceled"] = {"Coggo_Cancel": "client"}
    for id, changed in changes.items():
        assert gateway.predict({"until": str(tmp_path / "gate")}, ASYNC, id=id).status == 202
        runs(gateway, id)
        store_again(fleet, nats, id, **changed)
    nats.close()
    fleet.broker.kill()
    fleet.broker.start()
    assert gateway.ended("canceled")["status"] == "canceled"


def store_again(fleet, nats, id, body=None, **changed):
    """Store the state of a prediction again, with other headers; None leaves one out."""
    subject = f"coggo.p.{token(fleet.name)}.{id}"
    claim = nats.api("STREAM.MSG.GET.COGGO_P", last_by_subj=subject)["message"]
    headers = {k: v for k, v in headers_of(claim).items() if not k.startswith("Nats-")}
    given = {name.replace("-", "_"): value for name, value in headers.items()} | changed
    given = {name: value for name, value in given.items() if value is not None}
    stored = nats.request(subject, body or base64.b64decode(claim["data"]), **given)
    assert "error" not in json.loads(stored), stored
