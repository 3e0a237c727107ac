"""Models that ignore a cancel: the prediction ends within the grace period, and the next one
works.
"""

from __future__ import annotations

import pytest

from model_sources import model_source
from waiting import alive, until

SYNC = model_source("faults/stubborn")

ASYNC = model_source("faults/stubborn_async")

GRACE = ["--cancel-grace", "300ms", "--max-restarts", "100"]


@pytest.fixture(scope="module")
def sync_server(start_once):
    return start_once(SYNC, *GRACE)


@pytest.fixture(scope="module")
def async_server(start_once):
    return start_once(ASYNC, *GRACE)


def works(server):
    server.wait_status("READY")
    assert server.predict({"action": ""}).json["output"] == "done"


def cancel(server, action):
    """Cancel a prediction once its code runs; return its end and the process that ran it."""
    server.wait_status("READY")
    runner = server.runner()
    id = server.predict({"action": action}, {"Prefer": "respond-async"}).json["id"]
    until("it has begun", lambda: "begun" in server.get(f"/predictions/{id}").json["logs"])
    assert server.ask("POST", f"/predictions/{id}/cancel").status == 200
    server.ask("POST", f"/predictions/{id}/cancel")  # a second cancel does no harm
    return server.ended(id), runner


STUBBORN = ["swallow", "hold the gil", "stop", "stop the group", "block signals", "wait in finally"]


@pytest.mark.parametrize("action", STUBBORN)
def test_a_sync_model_that_ignores_a_cancel_is_replaced(sync_server, action):
    end, runner = cancel(sync_server, action)
    assert (end["status"], end["error"], end["logs"][:6]) == ("canceled", None, "begun\n")
    until("its process is gone", lambda: not alive(runner))
    works(sync_server)


@pytest.mark.parametrize("action", ["every signal", "deadlock", "raise in finally"])
def test_a_sync_model_that_can_be_interrupted_is_canceled(sync_server, action):
    end, _ = cancel(sync_server, action)
    assert (end["status"], end["error"]) == ("canceled", None)
    works(sync_server)


@pytest.mark.parametrize(
    "action", ["swallow", "block the loop", "hold the gil", "stop", "deadlock"]
)
def test_an_async_model_that_ignores_a_cancel_is_replaced(async_server, action):
    end, runner = cancel(async_server, action)
    assert (end["status"], end["error"], end["logs"][:6]) == ("canceled", None, "begun\n")
    until("its process is gone", lambda: not alive(runner))
    works(async_server)


@pytest.mark.parametrize("action", ["swallow and return", "raise in finally"])
def test_an_async_model_that_ends_in_its_own_way_is_canceled(async_server, action):
    end, runner = cancel(async_server, action)
    assert (end["status"], end["output"], end["error"]) == ("canceled", None, None)
    works(async_server)
    assert async_server.runner() == runner


BENIGN = [
    "never awaited",
    "task that fails",
    "stop the loop",
    "no loop",
    "exit in a task",
    "debug",
    "many tasks",
]


@pytest.mark.parametrize("action", BENIGN)
def test_the_runner_survives_changes_of_an_async_model_to_its_loop(async_server, action):
    async_server.wait_status("READY")
    runner = async_server.runner()
    answer = async_server.predict({"action": action}).json
    assert (answer["status"], answer["output"]) == ("succeeded", "done"), answer
    works(async_server)
    assert async_server.runner() == runner


@pytest.mark.parametrize("action", ["cancel all tasks", "cancel itself", "close the loop"])
def test_an_async_model_that_breaks_its_tasks_fails_alone(async_server, action):
    async_server.wait_status("READY")
    runner = async_server.runner()
    answer = async_server.predict({"action": action}).json
    assert answer["status"] == "failed" and answer["error"], answer
    works(async_server)
    assert async_server.runner() == runner


@pytest.mark.parametrize("source", [SYNC, ASYNC], ids=["sync", "async"])
def test_the_server_answers_while_a_model_holds_the_interpreter(start, source):
    server = start(source)
    id = server.predict(
        {"action": "hold the gil for ten seconds"}, {"Prefer": "respond-async"}
    ).json["id"]
    until("it has begun", lambda: "begun" in server.get(f"/predictions/{id}").json["logs"])
    assert server.health()["status"] == "BUSY"
    assert server.predict({"action": ""}).status == 409
    assert server.get("/metrics").status == 200
    assert server.ended(id)["output"] == "done"
    works(server)


@pytest.mark.parametrize("action", ["hold the gil", "stop", "swallow", "block signals"])
def test_a_model_that_ignores_cancels_does_not_delay_the_shutdown(start, action):
    server = start(SYNC, *GRACE, "--runner-shutdown-grace-period", "100ms")
    runner = server.runner()
    id = server.predict({"action": action}, {"Prefer": "respond-async"}).json["id"]
    until("it has begun", lambda: "begun" in server.get(f"/predictions/{id}").json["logs"])
    server.ask("POST", "/shutdown")
    assert server.process.wait(30) == 0
    assert not alive(runner)


def test_output_and_metrics_of_a_late_thread_reach_no_other_prediction(start):
    """No event may follow the end, because it would belong to the next prediction with that id."""
    for name in ("late_thread", "late_thread_async"):
        server = start(model_source(f"faults/{name}"))
        assert (
            server.ask("PUT", "/predictions/same", {"input": {"late": True}}).json["output"]
            == "done"
        )
        again = server.ask("PUT", "/predictions/same", {"input": {}}).json
        assert "late" not in again["metrics"] and again["output"] == "done"
        if name == "late_thread_async":
            assert again["logs"] == ""
        assert [p.name for p in server.spool().glob("events-*")] == []
