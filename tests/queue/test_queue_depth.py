"""``GET /queue``, by which workers are scaled: docs/queue.md, Scaling."""

from __future__ import annotations

from model_sources import model_source
from queue_harness import ASYNC, runs
from waiting import until

MODEL = model_source("queue/everything")


def look(server, name=""):
    answer = server.get("/queue" + (f"?name={name}" if name else ""))
    assert answer.status == 200, answer.body
    return answer.json


def counts(server, name=""):
    found = look(server, name)
    return tuple(found[key] for key in ("waiting", "running", "backlog", "workers", "slots"))


def test_the_queue_is_what_waits_and_what_runs(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    for process in [*fleet.gateways, *fleet.workers]:
        until("it is empty", lambda p=process: counts(p) == (0, 0, 0, 1, 1))
        assert look(process)["oldest_seconds"] == 0
    one, end = fleet.gateways[0], tmp_path / "end"
    for id in ("a", "b", "c"):
        one.predict({"until": str(end)}, ASYNC, id=id)
    runs(one, "a")
    for process in [*fleet.gateways, *fleet.workers]:
        until("two wait", lambda p=process: counts(p, fleet.name) == (2, 1, 3, 1, 1))
        first = look(process)
        assert first["model"] == fleet.name
        until(
            "it grows older",
            lambda p=process, o=first: look(p)["oldest_seconds"] > o["oldest_seconds"] > 0,
        )
    end.touch()
    for id in ("a", "b", "c"):
        one.ended(id)
    until("it is empty", lambda: counts(one) == (0, 0, 0, 1, 1))
    assert look(one)["oldest_seconds"] == 0


def test_without_a_worker_what_waits_is_still_counted(start_fleet):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    fleet.workers[0].close()
    fleet.wait_workers(0)
    fleet.gateways[0].predict({}, ASYNC, id="waits")
    until("it waits", lambda: counts(fleet.gateways[0]) == (1, 0, 1, 0, 0))
    fleet.worker(MODEL, name=fleet.name)
    assert fleet.gateways[0].ended("waits")["status"] == "succeeded"


def test_of_several_models_one_has_to_be_named(start_fleet, tmp_path):
    """And as at /metrics there is no need for the token."""
    fleet = start_fleet()
    for name in ("acme/one", "acme/two:2"):
        fleet.worker(MODEL, name=name, ready=False)
    for worker in fleet.workers:
        worker.wait_status("READY")
    (tmp_path / "token").write_text("secret")
    gateway = fleet.gateway("--auth-token-file", str(tmp_path / "token"), ready=False)
    until("it knows both", lambda: gateway.get("/queue").status == 404)
    assert gateway.get("/queue").json["detail"] == (
        "this queue has several models: add ?name= with one of acme/one, acme/two:2"
    )
    for name in ("acme/one", "acme/two:2"):
        assert look(gateway, name)["model"] == name
    for wrong in ("acme/three", "acme/two", "x%20y", "..%2F.."):
        answer = gateway.get(f"/queue?name={wrong}")
        assert answer.status == 404
        assert "it has acme/one, acme/two:2" in answer.json["detail"]


def test_without_a_broker_there_are_no_numbers(start_fleet):
    """Who scales must not take a broker that is away for an empty queue."""
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    assert fleet.gateways[0].get("/queue").status == 200
    fleet.broker.stop()
    until("it says so", lambda: fleet.gateways[0].get("/queue").status == 503)
    fleet.broker.start()
    until("it is back", lambda: fleet.gateways[0].get("/queue").status == 200)
