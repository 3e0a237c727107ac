"""The health of gateways and workers: docs/queue.md, What clients see."""

from __future__ import annotations

import re

from model_sources import model_source
from queue_harness import ASYNC, runs
from waiting import until


def test_every_process_shows_the_queue(fleet):
    for process in [*fleet.gateways, *fleet.workers]:
        until("it knows both workers", lambda p=process: p.health()["queue"]["workers"] == 2)
        assert process.health()["queue"] == {
            "connected": True,
            "model": fleet.name,
            "workers": 2,
            "slots": 2,
            "waiting": 0,
            "running": 0,
        }
        assert process.get("/readyz").status == process.get("/livez").status == 200


def test_a_gateway_shows_the_slots_of_all_workers(fleet):
    health = fleet.gateways[0].health()
    assert health["status"] == "READY" and health["setup"]["status"] == "succeeded"
    assert health["concurrency"] == {"max": 2, "current": 0}
    assert health["version"]["python"] == fleet.workers[0].health()["version"]["python"]


def test_a_worker_shows_its_own_model(fleet, tmp_path):
    one = fleet.gateways[0]
    for id in ("h0", "h1"):
        one.predict({"until": str(tmp_path / "end")}, ASYNC, id=id)
        runs(one, id)
    for worker in fleet.workers:
        assert worker.health()["status"] == "BUSY"
        assert worker.health()["concurrency"] == {"max": 1, "current": 1}
        assert worker.get("/readyz").status == 200, "what it accepts others run"
    one.predict({}, ASYNC, id="h2")
    for process in [*fleet.gateways, *fleet.workers]:
        until("one waits", lambda p=process: p.health()["queue"]["waiting"] == 1)
        assert process.health()["queue"]["running"] == 2
    (tmp_path / "end").touch()
    for id in ("h0", "h1", "h2"):
        one.ended(id)
    for process in [*fleet.gateways, *fleet.workers]:
        until("none runs", lambda p=process: p.health()["queue"]["running"] == 0)


def test_the_metrics_of_every_process_have_the_queue(fleet):
    for process in [*fleet.gateways, *fleet.workers]:
        metrics = process.get("/metrics").body.decode()
        assert "coggo_queue_connected 1" in metrics
        for name, value in {
            "waiting": 0,
            "running": 0,
            "oldest_seconds": 0,
            "workers": 2,
            "slots": 2,
            "stuck": 0,
        }.items():
            assert f'coggo_queue_{name}{{model="{fleet.name}"}} {value}' in metrics


def test_a_gateway_for_several_models_has_the_metrics_of_each(start_fleet):
    fleet = start_fleet()
    for name in ("acme/one", "acme/two:2"):
        fleet.worker(model_source("queue/everything"), name=name, ready=False)
    gateway = fleet.gateway(ready=False)
    for name in ("acme/one", "acme/two:2"):
        line = f'coggo_queue_workers{{model="{name}"}} 1'
        until(f"it has {name}", lambda s=line: s in gateway.get("/metrics").body.decode())
    for worker in fleet.workers:
        assert "acme/" in worker.get("/metrics").body.decode()


def test_the_time_that_the_broker_takes_is_measured(start_fleet):
    fleet = start_fleet(model_source("queue/everything"), workers=1, gateways=1)
    fleet.gateways[0].predict({})
    for process in (*fleet.gateways, *fleet.workers):
        found = process.get("/metrics").body.decode()
        count = re.search(r"^coggo_queue_publish_seconds_count (\d+)$", found, re.MULTILINE)
        assert count and int(count[1]) >= 1, found


def test_a_worker_that_has_left_is_not_counted(start_fleet):
    fleet = start_fleet(model_source("queue/everything"))
    fleet.workers[0].close()
    fleet.wait_workers(1)
    for process in [*fleet.gateways, fleet.workers[1]]:
        assert process.health()["queue"]["slots"] == 1
