"""A worker that ends, is killed or hangs: docs/queue.md, Shutdown and When things break."""

from __future__ import annotations

import signal

import pytest

from model_sources import model_source
from queue_harness import ASYNC, runs
from waiting import until

MODEL = model_source("queue/everything")
GRACE = ("--runner-shutdown-grace-period", "1s")


def with_a_second_worker(fleet, id, given, *flags, **more):
    """Run a prediction at the only worker, and start a second one then. Return the first."""
    one = fleet.gateways[0]
    assert one.predict(given, ASYNC, id=id, **more).status == 202
    runs(one, id)
    fleet.worker(MODEL, *flags, name=fleet.name)
    fleet.wait_workers(2)
    return fleet.workers[0]


def pids(tmp_path):
    return (tmp_path / "runs").read_text().split()


def test_a_worker_that_is_stopped_lets_what_runs_end(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    first = with_a_second_worker(fleet, "goes-on", given)
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
        fleet, "back", given, webhook=receiver.url, webhook_events_filter=["completed"]
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
    first = with_a_second_worker(fleet, "fails", given)
    first.process.send_signal(signal.SIGTERM)
    assert first.process.wait(20) == 0, first.log()
    found = fleet.gateways[1].ended("fails")
    assert found["status"] == "failed" and found["error"]
    assert pids(tmp_path) == [str(first.process.pid)]


@pytest.mark.timeout(120)
def test_what_a_killed_worker_had_runs_again(start_fleet, receiver, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    first = with_a_second_worker(
        fleet, "lost", given, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    first.kill()
    until("another worker runs it", lambda: len(pids(tmp_path)) == 2, 60)
    (tmp_path / "end").touch()
    found = fleet.gateways[1].ended("lost")
    assert found["output"] == "hello you"
    receiver.wait(1)
    assert receiver.got == [found]
    metrics = fleet.workers[1].get("/metrics").body.decode()
    assert "coggo_queue_taken_over_total 1" in metrics


@pytest.mark.timeout(120)
def test_what_a_killed_worker_had_fails_with_recover_fail(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, "--recover", "fail", workers=1)
    given = {"until": str(tmp_path / "never"), "runs": str(tmp_path / "runs")}
    first = with_a_second_worker(fleet, "lost", given, "--recover", "fail")
    first.kill()
    found = fleet.gateways[1].ended("lost", 60)
    assert found["status"] == "failed"
    assert found["error"] == "the worker was lost before the prediction ended"
    assert len(pids(tmp_path)) == 1


@pytest.mark.timeout(120)
def test_a_prediction_that_kills_its_worker_fails_after_max_attempts(start_fleet, tmp_path):
    fleet = start_fleet(MODEL, "--max-attempts", "2", workers=2)
    given = {"fail": "server", "runs": str(tmp_path / "runs")}
    fleet.gateways[0].predict(given, ASYNC, id="poison")
    until("both are dead", lambda: all(w.process.poll() is not None for w in fleet.workers), 60)
    fleet.worker(MODEL, "--max-attempts", "2", name=fleet.name)
    found = fleet.gateways[1].ended("poison", 60)
    assert found["status"] == "failed"
    assert found["error"] == "the worker was lost 2 times while this ran"
    assert len(pids(tmp_path)) == 2
    assert fleet.gateways[0].predict({}).json["output"] == "hello you"


@pytest.mark.timeout(120)
def test_the_end_of_a_worker_that_hung_is_refused(start_fleet, receiver, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    first = with_a_second_worker(
        fleet, "hung", given, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    first.process.send_signal(signal.SIGSTOP)
    until("another worker runs it", lambda: len(pids(tmp_path)) == 2, 60)
    (tmp_path / "end").touch()
    found = fleet.gateways[1].ended("hung")
    first.process.send_signal(signal.SIGCONT)
    until("it is refused", lambda: "another worker has taken over" in first.log())
    assert fleet.gateways[0].get("/predictions/hung").json == found
    assert fleet.gateways[0].predict({}).json["output"] == "hello you"
    assert receiver.got == [found]
