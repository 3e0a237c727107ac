"""A prediction from any gateway to any worker: docs/queue.md."""

from __future__ import annotations

import threading

from queue_harness import ASYNC, runs
from waiting import until


def test_every_process_takes_predictions_on(fleet):
    for process in [*fleet.gateways, *fleet.workers]:
        answer = process.predict({"name": "Ada"})
        assert answer.status == 200, answer
        assert answer.json["output"] == "hello Ada" and answer.json["status"] == "succeeded"
        assert answer.json["logs"] == "hello Ada\n"


def test_an_end_is_the_same_at_every_process(fleet, one):
    answer = one.predict({"name": "Grace"}, id="same-end")
    for process in [*fleet.gateways, *fleet.workers]:
        assert process.get("/predictions/same-end").body == answer.body


def test_a_failure_is_an_end(one, other):
    answer = one.predict({"fail": "it fails"}, id="failure")
    assert answer.status == 200 and answer.json["status"] == "failed"
    assert answer.json["error"] == "it fails" and "Traceback" in answer.json["logs"]
    assert other.get("/predictions/failure").json == answer.json


def test_respond_async_shows_each_state_at_another_gateway(one, other, tmp_path):
    answer = one.predict({"until": str(tmp_path / "end")}, ASYNC, id="async")
    assert answer.status == 202 and answer.json["status"] == "starting"
    runs(other, "async")
    running = other.get("/predictions/async").json
    assert running["started_at"] and running["completed_at"] is None and running["output"] is None
    (tmp_path / "end").touch()
    assert other.ended("async")["output"] == "hello you"


def test_wait_answers_202_in_time_and_the_prediction_goes_on(one, other, tmp_path):
    asked = {"until": str(tmp_path / "end")}
    answer = one.predict(asked, {"Prefer": "wait=0.2"}, id="waited")
    assert answer.status == 202 and answer.json["status"] in ("starting", "processing")
    (tmp_path / "end").touch()
    assert other.ended("waited")["status"] == "succeeded"


def test_wait_answers_with_an_end_that_comes_in_time(one):
    answer = one.predict({"name": "quick"}, {"Prefer": "wait=20"})
    assert answer.status in (200, 201) and answer.json["output"] == "hello quick"


def test_the_list_of_every_gateway_has_all_predictions(one, other):
    ids = [f"listed-{n}" for n in range(5)]
    for id in ids:
        one.predict({}, id=id)
    seen, path = [], "/predictions?limit=2"
    while path and len(seen) < 100:
        page = other.get(path).json
        seen += [item["id"] for item in page["results"]]
        path = page["next"] and f"/predictions?limit=2&cursor={page['next']}"
    assert [id for id in seen if id in ids] == list(reversed(ids))


def test_trainings_run_as_predictions_do(one, other):
    answer = one.ask("POST", "/trainings", {"id": "training", "input": {"n": 3}})
    assert answer.status in (200, 201) and answer.json["output"] == {"weights": "www"}
    assert other.get("/trainings/training").json == answer.json
    repeated = other.ask("PUT", "/trainings/training", {"input": {"n": 3}})
    assert repeated.json == answer.json


def test_inputs_are_checked_by_the_gateway(one):
    refused = one.predict({"s": -1, "name": 3})
    assert refused.status == 422
    assert {tuple(p["loc"]) for p in refused.json["detail"]} >= {("body", "input", "name")}


def test_the_schema_is_that_of_the_workers(fleet, one):
    assert one.get("/openapi.json").body == fleet.workers[0].get("/openapi.json").body


def test_each_free_slot_of_every_worker_is_used(fleet, one, tmp_path):
    ids = ["slot-0", "slot-1", "slot-2"]
    for id in ids:
        asked = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
        one.predict(asked, ASYNC, id=id)
    runs(one, "slot-0")
    runs(one, "slot-1")
    assert one.get("/predictions/slot-2").json["status"] == "starting"
    until("it is counted", lambda: one.health()["queue"]["waiting"] == 1)
    assert one.health()["queue"]["running"] == 2
    (tmp_path / "end").touch()
    for id in ids:
        one.ended(id)
    servers = {str(worker.process.pid) for worker in fleet.workers}
    assert set((tmp_path / "runs").read_text().split()) == servers


def test_many_at_once_through_both_gateways_all_end_well(fleet):
    answers = {}

    def ask(n):
        answers[n] = fleet.gateways[n % 2].predict({"name": f"n{n}"}).json["output"]

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {n: f"hello n{n}" for n in range(40)}
