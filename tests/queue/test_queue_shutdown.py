"""A worker that is told to stop: docs/queue.md, Shutdown."""

from __future__ import annotations

import signal

from model_sources import model_source
from queue_harness import ASYNC, runs, with_a_second_worker
from waiting import until

MODEL = model_source("queue/everything")
GRACE = ("--runner-shutdown-grace-period", "1s")


def pids(tmp_path):
    """The server of each run, in order."""
    return (tmp_path / "runs").read_text().split()


def test_a_worker_that_is_stopped_lets_what_runs_end(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    first = with_a_second_worker(fleet, MODEL, "goes-on", given)
    first.process.send_signal(signal.SIGTERM)
    fleet.wait_workers(1)
    (tmp_path / "end").touch()
    assert first.process.wait(20) == 0, first.log()
    assert fleet.gateways[1].ended("goes-on")["output"] == "hello you"
    assert pids(tmp_path) == [str(first.process.pid)]


def test_a_worker_that_is_stopped_hands_back_what_does_not_end(start_fleet, receiver, tmp_path):
    fleet = start_fleet(MODEL, *GRACE, workers=1)
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    first = with_a_second_worker(
        fleet, MODEL, "back", given, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(20) == 0, first.log()
    until("another worker runs it", lambda: len(pids(tmp_path)) == 2)
    (tmp_path / "end").touch()
    found = fleet.gateways[1].ended("back")
    assert found["status"] == "succeeded" and found["output"] == "hello you"
    assert pids(tmp_path) == [str(worker.process.pid) for worker in fleet.workers]
    receiver.wait(1)
    assert receiver.got == [found]


def test_a_prediction_that_was_handed_back_waits_for_a_worker(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, *GRACE, workers=1)
    one, other = fleet.gateways
    one.predict({"until": str(tmp_path / "end")}, ASYNC, id="waits-again")
    runs(one, "waits-again")
    fleet.workers[0].process.send_signal(signal.SIGTERM)
    assert fleet.workers[0].process.wait(20) == 0, fleet.workers[0].log()
    for server in (one, other):
        assert server.get("/predictions/waits-again").json["status"] in ("starting", "processing")
    (tmp_path / "end").touch()
    fleet.worker(MODEL, name=fleet.name)
    assert other.ended("waits-again")["output"] == "hello you"


def test_with_recover_fail_it_fails_where_it_ran(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, *GRACE, "--recover", "fail", workers=1)
    given = {"until": str(tmp_path / "never"), "runs": str(tmp_path / "runs")}
    first = with_a_second_worker(fleet, MODEL, "fails", given)
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(20) == 0, first.log()
    found = fleet.gateways[1].ended("fails")
    assert found["status"] == "failed" and found["error"]
    assert pids(tmp_path) == [str(first.process.pid)]
