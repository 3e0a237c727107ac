"""A worker that is killed or hangs: docs/queue.md, When things break."""

from __future__ import annotations

import signal

import pytest

from model_sources import model_source
from queue_harness import ASYNC, with_a_second_worker
from waiting import until

MODEL = model_source("queue/everything")


def pids(tmp_path):
    """The server of each run, in order."""
    return (tmp_path / "runs").read_text().split()


@pytest.mark.timeout(120)
def test_what_a_killed_worker_had_runs_again(start_fleet, receiver, tmp_path):
    fleet = start_fleet(MODEL, workers=1)
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    first = with_a_second_worker(
        fleet, MODEL, "lost", given, webhook=receiver.url, webhook_events_filter=["completed"]
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
    first = with_a_second_worker(fleet, MODEL, "lost", given, "--recover", "fail")
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
        fleet, MODEL, "hung", given, webhook=receiver.url, webhook_events_filter=["completed"]
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
