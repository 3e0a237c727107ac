"""Models that break functions which the runner needs: each gets one answer, and the next prediction
works.
"""

from __future__ import annotations

import signal

import pytest

from runner.conftest import Start
from waiting import until

ACTIONS = [
    "chdir",
    "environ",
    "umask",
    "json",
    "os",
    "os.path",
    "open",
    "time",
    "signal",
    "streams gone",
    "streams replaced",
    "streams closed",
    "descriptors closed",
    "every signal",
    "blocked",
    "ignored",
    "long line",
    "native text",
    "fork",
    "fork and exit",
    "late",
    "thread",
    "stdin",
    "recursion limit",
    "gc",
    "modules",
    "logging",
    "excepthook",
    "exits in a thread",
    "int digits",
]


@pytest.mark.parametrize("name", ["misbehaves", "async_misbehaves"])
@pytest.mark.parametrize("action", ACTIONS)
def test_misbehaving_prediction_is_answered_and_the_next_one_works(
    runner: Start, name: str, action: str
) -> None:
    r = runner(f"misbehaves.py:{name}")
    response = r.predict({"action": action})
    assert (response["status"], response["output"]) == ("succeeded", "done"), response
    assert response["metrics"]["predict_time"] >= 0
    for _ in range(3):
        response = r.predict({"action": ""})
        assert (response["status"], response["output"]) == ("succeeded", "done"), response
    r.put("stop", {})
    assert r.process.wait(20) == 0


@pytest.mark.parametrize("close", [(1,), (2,), (1, 2), (0, 1, 2)])
@pytest.mark.parametrize("name", ["misbehaves", "async_misbehaves"])
def test_runner_that_starts_with_closed_descriptors_works(
    runner: Start, name: str, close: tuple[int, ...]
) -> None:
    r = runner(f"misbehaves.py:{name}", close=close)
    assert r.predict({"action": "long line"})["output"] == "done"
    assert r.predict({"action": "stdin"})["output"] == "done"
    assert r.stop() == 0


@pytest.mark.parametrize("action", ["every signal", "ignored", "blocked", "os", "signal"])
def test_cancel_works_in_the_prediction_after_a_misbehaving_one(runner: Start, action: str) -> None:
    r = runner("misbehaves.py:cancelable")
    assert r.predict({"action": action, "seconds": 0})["output"] == "slept"
    r.send("a", {"action": "", "seconds": 60})
    until("its code", lambda: r.lent.text.count("sleeping") == 2)
    r.cancel("a")
    assert r.response("a")["status"] == "canceled"


@pytest.mark.parametrize("name", ["misbehaves", "async_misbehaves"])
def test_50_mb_of_text_arrive_complete_on_the_pipe(runner: Start, name: str) -> None:
    r = runner(f"misbehaves.py:{name}")
    assert r.predict({"action": "50 MB"})["output"] == "done"
    until("the text", lambda: r.lent.size == 50_000_000)
    assert r.predict({"action": ""})["output"] == "done"


def test_task_that_calls_exit_fails_its_prediction_only(runner: Start) -> None:
    r = runner("misbehaves.py:exits_in_a_task", "--max-concurrency", "2")
    for _ in range(2):
        response = r.predict({"action": "exit"})
        assert (response["status"], response["error"]) == ("failed", "the model called sys.exit(3)")
        assert r.predict({"action": ""})["output"] == "done"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR2])
def test_signal_handled_by_the_model_does_not_disturb_the_runner(
    runner: Start, number: signal.Signals
) -> None:
    r = runner("misbehaves.py:misbehaves")
    assert r.predict({"action": "every signal"})["output"] == "done"
    r.process.send_signal(number)
    assert r.predict({"action": ""})["output"] == "done"
