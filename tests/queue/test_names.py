"""Several models on one broker: the name is the queue: docs/queue.md."""

from __future__ import annotations

import pytest

from queue_harness import ASYNC, runs
from waiting import until

NAMED = """
import os, time
class Predictor:
    def predict(self, until: str = "", n: int = 0) -> str:
        while until and not os.path.exists(until):
            time.sleep(0.01)
        return "this is {}"
"""


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    """A broker with two models, a gateway for each, and one for neither."""
    fleet = start_fleet_once()
    for name in ("acme/one", "acme/two:2"):
        fleet.worker(NAMED.format(name), name=name, ready=False)
    for worker in fleet.workers:
        worker.wait_status("READY")
    for name in ("acme/one", "acme/two:2"):
        fleet.gateway("--name", name)
    fleet.wait_workers(1)
    return fleet


def test_each_gateway_serves_its_model(fleet):
    one, two = fleet.gateways[:2]
    assert one.predict({}).json["output"] == "this is acme/one"
    assert two.predict({}).json["output"] == "this is acme/two:2"
    assert one.health()["queue"]["model"] == "acme/one"
    assert two.health()["queue"]["model"] == "acme/two:2"


def test_a_gateway_without_a_name_answers_404_with_the_names(fleet):
    gateway = fleet.gateway(ready=False)
    until("it knows both", lambda: gateway.predict({}).status == 404)
    detail = gateway.predict({}).json["detail"]
    assert "acme/one" in detail and "acme/two:2" in detail and "--name" in detail


def test_a_list_has_the_predictions_of_its_model(fleet):
    one, two = fleet.gateways[:2]
    one.predict({}, id="of-one")
    two.predict({}, id="of-two")
    listed = {item["id"] for item in one.get("/predictions").json["results"]}
    assert "of-one" in listed and "of-two" not in listed


def test_an_id_can_be_read_and_canceled_at_any_gateway(fleet, tmp_path):
    one, two = fleet.gateways[:2]
    one.predict({"until": str(tmp_path / "never")}, ASYNC, id="anywhere")
    runs(two, "anywhere")
    assert two.ask("POST", "/predictions/anywhere/cancel").status == 200
    assert one.ended("anywhere")["status"] == "canceled"


def test_an_id_that_one_model_runs_is_a_conflict_for_the_other(fleet, tmp_path):
    one, two = fleet.gateways[:2]
    given = {"until": str(tmp_path / "end")}
    one.predict(given, ASYNC, id="shared")
    runs(one, "shared")
    assert two.predict(given, id="shared").status == 409
    assert two.ask("PUT", "/predictions/shared", {"input": given}).status == 409
    (tmp_path / "end").touch()
    assert one.ended("shared")["output"] == "this is acme/one"


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_id_that_has_ended_runs_anew_in_another_model(fleet, method):
    one, two = fleet.gateways[:2]
    id = f"moved-{method}"
    path = "/predictions" if method == "POST" else f"/predictions/{id}"
    body = {"id": id, "input": {"n": 1}}
    for server, name in ((one, "acme/one"), (two, "acme/two:2"), (one, "acme/one")):
        answer = server.ask(method, path, body, timeout=20)
        assert answer.status == 200 and answer.json["output"] == f"this is {name}"
        for reader in (one, two):
            assert reader.get(f"/predictions/{id}").json == answer.json
