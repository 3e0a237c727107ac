"""What a gateway does while there is no worker, or no broker: docs/queue.md."""

from __future__ import annotations

import concurrent.futures
import re

import pytest

from http_events import Stream
from model_sources import model_source
from nats_client import Nats
from queue_harness import ASYNC, runs, unique_name
from waiting import until

MODEL = model_source("queue/everything")


def test_a_model_that_no_worker_ever_served_is_503(start_fleet):
    fleet = start_fleet()
    any_model, named = fleet.gateway(ready=False), fleet.gateway("--name", "acme/it", ready=False)
    for gateway in (any_model, named):
        until("it is connected", lambda g=gateway: "connected to the queue" in g.log())
        for refused in (gateway.predict({}), gateway.get("/openapi.json"), gateway.get("/readyz")):
            assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
        assert gateway.health()["status"] == "STARTING"
    assert "no worker has ever served acme/it" in named.predict({}).json["detail"]
    assert "no worker has ever served a model" in any_model.predict({}).json["detail"]
    fleet.worker(MODEL, name="acme/it")
    for gateway in (any_model, named):
        gateway.wait_status("READY")
        assert gateway.predict({}).json["output"] == "hello you"


@pytest.fixture(scope="module")
def deserted(start_fleet_once):
    """A fleet whose worker has left."""
    fleet = start_fleet_once(MODEL, workers=1)
    fleet.workers[0].close()
    fleet.wait_workers(0)
    return fleet


def test_inputs_are_checked_without_any_worker(deserted):
    one, other = deserted.gateways
    refused = one.predict({"s": -1})
    assert refused.status == 422 and refused.json["detail"][0]["loc"] == ["body", "input", "s"]
    assert other.get("/openapi.json").status == 200
    assert one.get("/readyz").status == 200 and one.health()["status"] == "READY"
    queue = one.health()["queue"]
    assert (queue["workers"], queue["slots"], queue["connected"]) == (0, 0, True)


def test_a_gateway_that_starts_later_knows_the_schema(deserted):
    later = deserted.gateway("--name", deserted.name)
    assert later.get("/openapi.json").body == deserted.gateways[0].get("/openapi.json").body
    assert later.predict({"s": -1}).status == 422


def test_a_gateway_keeps_the_limit_of_files_that_the_workers_have(start_fleet):
    source = "from cog import File\nclass Predictor:\n    def predict(self, files: list[File]) -> int:\n        return len(files)\n"
    one, other = start_fleet(source, "--max-input-files", "2").gateways
    assert one.predict({"files": ["data:,"] * 2}).json["output"] == 2
    for gateway in (one, other):
        refused = gateway.predict({"files": ["data:,"] * 3})
        assert refused.status == 422 and "--max-input-files" in refused.json["error"]


def test_predictions_wait_for_a_worker(start_fleet):
    fleet = start_fleet(MODEL, workers=1)
    fleet.workers[0].close()
    fleet.wait_workers(0)
    one, other = fleet.gateways
    for n in range(3):
        answer = one.predict({"name": f"n{n}"}, ASYNC, id=f"w{n}")
        assert answer.status == 202 and answer.json["status"] == "starting"
        assert other.get(f"/predictions/w{n}").json["status"] == "starting"
    until("they are counted", lambda: other.health()["queue"]["waiting"] == 3)
    fleet.worker(MODEL, name=fleet.name)
    ends = [other.ended(f"w{n}") for n in range(3)]
    assert [end["output"] for end in ends] == ["hello n0", "hello n1", "hello n2"]
    started = [end["started_at"] for end in ends]
    assert started == sorted(started), "first come, first served"


def test_more_waiting_than_max_queue_is_429(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, workers=1, gateways=0)
    small = fleet.gateway("--max-queue", "2")
    until("it knows the worker", lambda: small.health()["queue"]["workers"] == 1)
    small.predict({"until": str(tmp_path / "end")}, ASYNC, id="runs")
    runs(small, "runs")
    for id in ("w0", "w1"):
        assert small.predict({}, ASYNC, id=id).status == 202
    answer = small.predict({}, ASYNC)
    assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1
    assert re.search(r"\d+ predictions wait in the queue of .*--max-queue", answer.json["detail"])
    for id in ("runs", "w1"):
        again = small.ask("PUT", f"/predictions/{id}", {"input": {}}, **ASYNC)
        assert again.status == 202, "it needs no place"
        assert small.predict({}, ASYNC, id=id).status == 409
    unbounded = fleet.gateway()
    assert unbounded.predict({}, ASYNC).status == 202
    (tmp_path / "end").touch()
    until("there is room", lambda: small.health()["queue"]["waiting"] == 0)
    until("it accepts", lambda: small.predict({}).status == 200)


def test_without_the_broker_everything_is_503_and_works_again_with_it(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    one, other = fleet.gateways
    worker = fleet.workers[0]
    one.predict({"until": str(tmp_path / "end"), "name": "kept"}, ASYNC, id="through")
    runs(other, "through")
    fleet.broker.kill()
    for process in (one, other, worker):
        until("it has heard", lambda p=process: p.get("/readyz").status == 503)
        assert not process.get("/readyz").json.get("queue")
        refused = process.predict({})
        assert refused.status == 503 and int(refused.headers["retry-after"]) >= 1
        assert "the queue can't be reached" in refused.json["detail"]
        assert process.get("/livez").status == process.get("/health-check").status == 200
    assert one.health()["status"] == "UNHEALTHY"
    assert worker.health()["status"] in ("READY", "BUSY")
    assert worker.health()["queue"]["connected"] is False
    (tmp_path / "end").touch()
    fleet.broker.start()
    for process in (one, other, worker):
        until("it is ready", lambda p=process: p.get("/readyz").status == 200)
    assert other.ended("through")["output"] == "hello kept"
    assert one.predict({}).json["output"] == "hello you"


def test_processes_that_start_before_the_broker_wait_for_it(start_fleet):
    fleet = start_fleet()
    fleet.broker.stop()
    name = unique_name()
    worker = fleet.worker(MODEL, name=name)
    gateway = fleet.gateway("--name", name, ready=False)
    assert gateway.get("/readyz").status == 503 and gateway.get("/livez").status == 200
    assert worker.get("/readyz").status == 503
    fleet.broker.start()
    gateway.wait_status("READY")
    assert gateway.predict({}).json["output"] == "hello you"


def test_a_broker_without_jetstream_ends_the_server_with_the_reason(start_fleet, tmp_path):
    fleet = start_fleet(jetstream=False)
    gateway = fleet.gateway(listens=False, expect_exit=1)
    assert gateway.process.wait(20) == 1
    assert "start nats-server with -js" in gateway.log()


def test_who_waits_is_told_when_an_operator_empties_the_queue(deserted):
    """Also if another request has joined the prediction at the same gateway."""
    gateway, nats = deserted.gateways[0], Nats(deserted.broker.url)
    with concurrent.futures.ThreadPoolExecutor(1) as client:
        waits = client.submit(gateway.predict, {}, id="both")
        until("it waits", lambda: gateway.get("/predictions/both").status == 200)
        joins = Stream(gateway.port, "PUT", "/predictions/both", {"input": {}})
        nats.api("STREAM.PURGE.COGGO_Q")
        nats.close()
        assert "no longer in the queue" in waits.result(30).json["error"]
        joins.close()
