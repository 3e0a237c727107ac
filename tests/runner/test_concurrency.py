"""Many predictions at once, and the signals about free slots."""

from __future__ import annotations

import pathlib

import pytest

from runner.conftest import Start
from runner.harness import BUSY, LOOK, READY, Runner
from waiting import until


class Gates:
    """Predictions that end when the test opens their gate."""

    def __init__(self, runner: Runner, directory: pathlib.Path) -> None:
        self.runner = runner
        self._directory = directory
        until("ready", lambda: READY in runner.rung)
        runner.rung.clear()

    def begin(self, id: str, method: str = "predict") -> None:
        self.runner.send(id, {"path": str(self._directory / id)}, method=method)

    def end(self, id: str) -> None:
        (self._directory / id).touch()
        assert self.runner.response(id)["output"] == str(self._directory / id)

    def slots(self) -> list[int]:
        """The signals about slots."""
        return [number for number in self.runner.rung if number != LOOK]


def test_256_predictions_run_at_once(runner: Start) -> None:
    r = runner("many.py:gathers", "--max-concurrency", "256")
    ids = [r.send(f"id{n}", {"until": 256}) for n in range(256)]
    assert {r.response(id)["status"] for id in ids} == {"succeeded"}


def test_busy_and_ready_are_signaled_for_the_last_slot_only(
    runner: Start, tmp_path: pathlib.Path
) -> None:
    g = Gates(runner("many.py:waits_for", "--max-concurrency", "2"), tmp_path)
    g.begin("a")
    g.end("a")
    assert g.slots() == []
    g.begin("b")
    g.begin("c")
    until("busy", lambda: g.slots() == [BUSY])
    g.end("b")
    until("ready", lambda: g.slots() == [BUSY, READY])
    g.begin("d")
    until("busy again", lambda: g.slots() == [BUSY, READY, BUSY])
    g.end("d")
    until("ready again", lambda: g.slots() == [BUSY, READY, BUSY, READY])
    g.end("c")
    g.begin("e")
    g.end("e")
    assert g.slots() == [BUSY, READY, BUSY, READY]


@pytest.mark.parametrize("name", ["blocks_for", "waits_for"])
def test_runner_with_one_slot_is_busy_during_its_prediction(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    g = Gates(runner(f"many.py:{name}"), tmp_path)
    for id in ("a", "b"):
        g.begin(id)
        until("busy", lambda: g.slots() == [BUSY])
        g.end(id)
        until("ready", lambda: g.slots() == [BUSY, READY])
        g.runner.rung.clear()


def test_requests_join_while_others_run(runner: Start, tmp_path: pathlib.Path) -> None:
    g = Gates(runner("many.py:waits_for", "--max-concurrency", "4"), tmp_path)
    g.begin("long")
    for n in range(20):
        g.begin(f"short{n}")
        g.end(f"short{n}")
    g.end("long")


def test_concurrency_of_the_decorator_holds_without_the_option(
    runner: Start, tmp_path: pathlib.Path
) -> None:
    r = runner("many.py:Marked")
    assert r.get("setup-result.json")["max_concurrency"] == 2


@pytest.mark.parametrize("name", ["blocks_for", "waits_for"])
def test_same_id_again_after_its_end_is_a_new_prediction(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    g = Gates(runner(f"many.py:{name}"), tmp_path)
    for _ in range(50):
        g.begin("a")
        g.end("a")


def test_synchronous_training_does_not_stop_async_predictions(
    runner: Start, tmp_path: pathlib.Path
) -> None:
    g = Gates(runner("many.py:WithTrain", "--max-concurrency", "2"), tmp_path)
    g.begin("training", method="train")
    g.begin("a")
    g.end("a")
    g.end("training")


def test_burst_of_requests_beyond_the_slots_is_answered(
    runner: Start, tmp_path: pathlib.Path
) -> None:
    r = runner("many.py:blocks_for")
    (tmp_path / "open").touch()
    ids = [r.send(f"id{n}", {"path": str(tmp_path / "open")}) for n in range(200)]
    assert {r.response(id)["status"] for id in ids} == {"succeeded"}


@pytest.mark.parametrize("name", ["waits_for", "blocks_for"])
def test_stop_lets_the_running_predictions_end_first(
    runner: Start, tmp_path: pathlib.Path, name: str
) -> None:
    g = Gates(runner(f"many.py:{name}"), tmp_path)
    g.begin("a")
    until("busy", lambda: g.slots() == [BUSY])
    g.runner.put("stop", {})
    (tmp_path / "a").touch()
    assert g.runner.exit() == 0
    assert g.runner.get("response-a.json")["status"] == "succeeded"


def test_sighup_is_sent_once_for_a_burst_of_ends(runner: Start, tmp_path: pathlib.Path) -> None:
    g = Gates(runner("many.py:waits_for", "--max-concurrency", "64"), tmp_path)
    for n in range(64):
        g.runner.send(f"id{n}", {"path": str(tmp_path / "gate")})
    until("busy", lambda: g.slots() == [BUSY])
    g.runner.rung.clear()
    (tmp_path / "gate").touch()
    for n in range(64):
        g.runner.response(f"id{n}")
    until("ready", lambda: READY in g.runner.rung)
    assert g.runner.rung.count(LOOK) < 64
