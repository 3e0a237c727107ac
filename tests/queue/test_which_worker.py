"""The header Coggo-Worker says which worker runs a prediction, or has run it: docs/queue.md."""

from __future__ import annotations

import re

from model_sources import model_source
from queue_harness import ASYNC, runs, with_a_second_worker
from waiting import until

MODEL = model_source("queue/everything")


def worker_of(server, id):
    return server.get(f"/predictions/{id}").headers.get("coggo-worker", "")


def ran(worker, shown):
    """Report whether this worker is the one that was shown."""
    host, _, process = shown.rpartition("/")
    return bool(host and process) and f"process={process}" in worker.log()


def test_every_answer_says_which_worker_ran_it(start_fleet):
    fleet = start_fleet(MODEL)
    answers = [fleet.gateways[n % 2].predict({}, id=f"p{n}") for n in range(6)]
    for n, answer in enumerate(answers):
        shown = answer.headers["coggo-worker"]
        assert re.fullmatch(r"\S+/[a-z0-9]{26}", shown)
        assert [ran(worker, shown) for worker in fleet.workers].count(True) == 1
        for server in (*fleet.gateways, *fleet.workers):
            assert worker_of(server, f"p{n}") == shown
            assert server.get(f"/v1/predictions/p{n}").headers["coggo-worker"] == shown
        assert "worker" not in answer.json
    head = fleet.gateways[0].ask("HEAD", "/predictions/p0")
    assert head.headers["coggo-worker"] == answers[0].headers["coggo-worker"]


def test_what_waits_has_no_worker(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    one, other = fleet.gateways
    one.predict({"until": str(tmp_path / "end")}, ASYNC, id="runs")
    runs(other, "runs")
    assert ran(fleet.workers[0], worker_of(other, "runs"))
    assert "coggo-worker" not in one.predict({}, ASYNC, id="waits").headers
    assert worker_of(one, "waits") == worker_of(other, "waits") == ""
    other.ask("POST", "/predictions/waits/cancel")
    assert one.ended("waits")["status"] == "canceled"
    assert worker_of(one, "waits") == worker_of(other, "waits") == "", "no worker has run it"
    (tmp_path / "end").touch()
    one.ended("runs")


def test_after_a_lost_worker_it_is_the_next_one(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    given = {"until": str(tmp_path / "end")}
    lost = with_a_second_worker(fleet, MODEL, "it", given)
    other = fleet.gateways[1]
    assert ran(lost, worker_of(other, "it"))
    lost.kill()
    until("the next one has it", lambda: ran(fleet.workers[1], worker_of(other, "it")), 30)
    (tmp_path / "end").touch()
    assert other.ended("it")["status"] == "succeeded"
    assert ran(fleet.workers[1], worker_of(fleet.gateways[0], "it"))
