"""A worker whose server restarts on its working directory: docs/queue.md."""

from __future__ import annotations

import pytest

from waiting import until

MODEL = """
import pathlib, time
class Predictor:
    def predict(self, mark: str = "", s: float = 0) -> str:
        with open(mark, "a") as ran:
            ran.write("x")
        end = time.time() + s
        while time.time() < end:
            time.sleep(0.02)
        return "done"
"""
NAME = "test/restarts"


@pytest.fixture
def fleet(start_fleet):
    made = start_fleet()
    made.gateway("--name", NAME, ready=False)
    return made


def accepted(gateway, mark, s):
    """Let a prediction begin to run, and return its id."""
    id = "it"
    body = {"input": {"mark": str(mark), "s": s}}
    answer = gateway.ask("PUT", f"/predictions/{id}", body, Prefer="respond-async")
    assert answer.status == 202, answer.body
    until("it runs", mark.exists)
    return id


def test_an_end_that_the_broker_did_not_take_is_stored_by_the_next_server(fleet, tmp_path):
    (gateway,) = fleet.gateways
    flags = ["--working-dir", str(tmp_path / "kept")]
    first = fleet.worker(MODEL, *flags, name=NAME)
    gateway.wait_status("READY")
    mark = tmp_path / "ran"
    id = accepted(gateway, mark, 0.5)
    fleet.broker.kill()
    kept = tmp_path / "kept" / "results"
    until("the end is on disk", lambda: list(kept.glob("*.json")))
    first.kill()
    fleet.broker.start()
    fleet.worker(MODEL, *flags, name=NAME)
    assert gateway.ended(id)["output"] == "done"
    assert mark.read_text() == "x", "it ran twice"
    until("the end is removed from the disk", lambda: not list(kept.glob("*.json")))


def test_what_was_running_runs_again_and_ends_once(fleet, tmp_path):
    (gateway,) = fleet.gateways
    flags = ["--working-dir", str(tmp_path / "kept")]
    first = fleet.worker(MODEL, *flags, name=NAME)
    gateway.wait_status("READY")
    mark = tmp_path / "ran"
    id = accepted(gateway, mark, 1)
    first.kill()
    again = fleet.worker(MODEL, *flags, name=NAME)
    assert gateway.ended(id, seconds=30)["output"] == "done"
    assert mark.read_text() == "xx"
    assert "coggo_queue_taken_over_total 1" in again.get("/metrics").body.decode()
