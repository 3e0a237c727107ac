"""A cancel ends its prediction and never another one."""

from __future__ import annotations

import pathlib
import signal
import time
from typing import Any

import pytest

from runner.conftest import Start
from runner.harness import Runner
from waiting import until


class Marked:
    """A runner whose model records its progress."""

    def __init__(self, runner: Runner, directory: pathlib.Path) -> None:
        self.runner = runner
        self._directory = directory

    def begin(self, id: str) -> None:
        """Send a prediction and wait until its user code runs."""
        self.runner.send(id, {"mark": str(self._directory / id)})
        until("the model's code", lambda: "begun" in self.marks(id))

    def marks(self, id: str) -> list[str]:
        path = self._directory / id
        return path.read_text().split() if path.exists() else []

    def cancel(self, id: str) -> Any:
        """Cancel a running prediction, and return its response."""
        self.runner.cancel(id)
        return self.runner.response(id)


def marked(runner: Start, name: str, tmp_path: pathlib.Path, *options: str) -> Marked:
    return Marked(runner(f"cancels.py:{name}", *options), tmp_path)


SYNC = [
    "sleeps",
    "spins",
    "cleans_up",
    "swallows",
    "catches_exceptions",
    "replaces",
    "awaits_inside",
    "listed",
    "OwnHandler",
]
ASYNC = ["async_sleeps", "async_cleans_up", "async_swallows"]


@pytest.mark.parametrize("name", SYNC + ASYNC)
def test_canceled_prediction_ends_at_once_however_the_model_reacts(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    m = marked(runner, name, tmp_path)
    for id in ("a", "b"):
        m.begin(id)
        response = m.cancel(id)
        assert (response["status"], response["error"], response["output"]) == (
            "canceled",
            None,
            None,
        ), response
        assert response["traceback"] is None
        assert response["metrics"]["predict_time"] < 30


@pytest.mark.parametrize("name", ["cleans_up", "async_cleans_up"])
def test_cleanup_of_the_model_runs_to_completion(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    m = marked(runner, name, tmp_path)
    m.begin("a")
    m.runner.cancel("a")
    until("the cleanup", lambda: "finally" in m.marks("a"))
    for _ in range(20):  # repeated doorbells change nothing
        m.runner.process.send_signal(signal.SIGUSR1)
    assert m.runner.response("a")["status"] == "canceled"
    assert m.marks("a") == ["begun", "finally", "clean"]


@pytest.mark.parametrize("name", ["yields", "async_yields", "returns_async"])
def test_canceled_iterator_keeps_its_items_and_is_closed(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    m = marked(runner, name, tmp_path)
    m.runner.send("a", {"mark": str(tmp_path / "a")})
    until("three items", lambda: len(m.runner.chunks("a")) == 3)
    response = m.cancel("a")
    assert (response["status"], response["streamed"]) == ("canceled", True)
    assert m.runner.chunks("a") == [0, 1, 2]
    assert m.marks("a")[-1] == "finally"


@pytest.mark.parametrize("name", ["sleeps", "async_sleeps", "batched"])
def test_cancel_file_from_before_the_request_cancels_it(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    r = runner(f"cancels.py:{name}")
    r.cancel("a", ring=False)
    r.send("a", {"mark": str(tmp_path / "a")})
    assert r.response("a")["status"] == "canceled"


@pytest.mark.parametrize("name", ["sleeps", "async_sleeps", "batched"])
def test_cancel_file_from_before_the_start_cancels_the_prediction(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    r = runner(f"cancels.py:{name}", ready=False)
    r.cancel("a", ring=False)
    r.send("a", {"mark": str(tmp_path / "a")})
    assert r.response("a")["status"] == "canceled"


@pytest.mark.parametrize("name", ["sleeps", "async_sleeps", "OwnHandler"])
def test_late_doorbell_does_not_cancel_the_next_prediction(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    r = runner(f"cancels.py:{name}")
    for n in range(20):
        r.send(f"a{n}", {"mark": str(tmp_path / "a"), "seconds": 0})
        r.wait_for(f"response-a{n}.json")
        r.cancel(f"a{n}")
        r.send(f"b{n}", {"mark": str(tmp_path / "b"), "seconds": 0.01})
        for _ in range(5):
            r.process.send_signal(signal.SIGUSR1)
        assert r.response(f"b{n}")["output"] == "slept"
        assert r.response(f"a{n}")["status"] == "succeeded"


@pytest.mark.parametrize("name", ["sleeps", "async_sleeps"])
def test_doorbell_without_a_cancel_file_is_ignored(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    r = runner(f"cancels.py:{name}")
    for id in ("a", "b"):
        r.send(id, {"mark": str(tmp_path / id), "seconds": 0.1})
        for _ in range(100):
            r.process.send_signal(signal.SIGUSR1)
            time.sleep(0.001)
        assert r.response(id)["output"] == "slept"


@pytest.mark.parametrize("name", ["sleeps", "async_sleeps"])
def test_cancel_of_another_id_is_ignored(runner: Start, tmp_path: pathlib.Path, name: str) -> None:
    m = marked(runner, name, tmp_path)
    m.begin("a")
    m.runner.cancel("b")
    m.runner.cancel("aa")
    assert m.cancel("a")["status"] == "canceled"


def test_doorbell_during_setup_is_ignored(runner: Start, tmp_path: pathlib.Path) -> None:
    r = runner("boot.py:SlowSetup", ready=False)
    r.wait_for("openapi.json")
    r.process.send_signal(signal.SIGUSR1)
    time.sleep(0.1)
    assert r.process.poll() is None


def test_task_that_is_canceled_before_its_first_step_is_answered(
    runner: Start, tmp_path: pathlib.Path
) -> None:
    m = marked(runner, "async_blocks", tmp_path, "--max-concurrency", "2")
    m.begin("a")
    m.runner.send("b", {"mark": str(tmp_path / "b")})
    m.runner.cancel("b")
    (tmp_path / "a.go").touch()
    assert m.runner.response("b")["status"] == "canceled"
    assert m.runner.response("a")["output"] == "went on"
    assert m.marks("b") == []


def test_cancel_ends_only_one_of_several_predictions(runner: Start, tmp_path: pathlib.Path) -> None:
    m = marked(runner, "async_sleeps", tmp_path, "--max-concurrency", "3")
    for id in ("a", "b", "c"):
        m.begin(id)
    assert m.cancel("b")["status"] == "canceled"
    assert m.runner.get("response-a.json") is None
    assert m.runner.get("response-c.json") is None
    for id in ("a", "c"):
        assert m.cancel(id)["status"] == "canceled"


@pytest.mark.parametrize("name", ["sleeps", "async_sleeps"])
def test_same_id_again_after_a_cancel_is_a_new_prediction(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    m = marked(runner, name, tmp_path)
    m.begin("a")
    assert m.cancel("a")["status"] == "canceled"
    assert (
        m.runner.response(m.runner.send("a", {"mark": str(tmp_path / "a"), "seconds": 0}))["output"]
        == "slept"
    )
