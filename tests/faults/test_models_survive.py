"""Models that misuse everything they can reach, with the real server: each gets one answer, and the
next prediction works.
"""

from __future__ import annotations

import pathlib
import shutil

import pytest

from models import hostile
from waiting import until

pytestmark = pytest.mark.timeout(240)

PACKAGE = pathlib.Path(hostile.__file__).parent


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A model directory with a copy of the package."""
    made = tmp_path_factory.mktemp("model")
    shutil.copytree(PACKAGE, made / "hostile", ignore=shutil.ignore_patterns("__pycache__"))
    (made / "predict.py").write_text("from hostile import AsyncPredictor, Predictor\n")
    return made


@pytest.fixture(scope="module", params=["Predictor", "AsyncPredictor"])
def server(request, start_once, directory):
    """A server that all tests share; those that end its runner wait for the next one."""
    predict = f"predict.py:{request.param}"
    made = start_once("", "--max-restarts", "100", model_dir=directory, predict=predict)
    made.asynchronous = request.param == "AsyncPredictor"
    return made


def works(server):
    """The next prediction works, with nothing left of the one before."""
    answer = server.predict({"action": ""}).json
    assert (answer["status"], answer["output"], answer["error"]) == ("succeeded", "done", None), (
        answer
    )
    answer = server.predict({"action": "restore"}).json
    assert answer["status"] == "succeeded", answer


#: Actions that end the event loop, which model and runner share. The server restarts the runner.
NOT_WITH_A_LOOP = {"builtins", "every descriptor but three"}


@pytest.mark.parametrize("action", hostile.BENIGN)
def test_misuse_that_returns_a_value_is_answered_with_it(server, action):
    runner = server.runner()
    answer = server.predict({"action": action}).json
    assert (answer["status"], answer["error"]) == ("succeeded", None), answer
    assert answer["metrics"]["predict_time"] >= 0
    if server.asynchronous and action in NOT_WITH_A_LOOP:
        until("the process is another", lambda: server.runner() != runner)
        server.wait_status("READY")
    works(server)


@pytest.mark.parametrize("action", hostile.FAILING)
def test_misuse_that_fails_is_answered_as_failed(server, action):
    runner = server.runner()
    answer = server.predict({"action": action}).json
    assert answer["status"] == "failed" and hostile.FAILING[action][1] in answer["error"], answer
    assert len(answer["error"]) < 20_000 and len(answer["logs"]) < 100_000
    works(server)
    assert server.runner() == runner, "the process is the same"


@pytest.mark.parametrize("action", hostile.DEADLY)
def test_misuse_that_ends_the_process_is_answered_and_the_runner_replaced(server, action):
    answer = server.predict({"action": action}).json
    assert answer["status"] == "failed" and hostile.DEADLY[action][1] in answer["error"], answer
    server.wait_status("READY")
    works(server)


@pytest.mark.parametrize(
    "action", ["streams closed", "streams gone", "descriptors closed", "stdin closed"]
)
def test_streams_closed_by_a_model_are_restored(server, action):
    assert server.predict({"action": action}).json["status"] == "succeeded"
    answer = server.predict({"action": "print"}).json
    assert answer["status"] == "succeeded" and sorted(answer["logs"].splitlines()) == [
        "printed",
        "printed too",
    ], answer


def test_large_outputs_are_complete(server):
    for action, value in hostile.LARGE.items():
        answer = server.ask("POST", "/predictions", {"input": {"action": action}}, timeout=120)
        assert answer.json["output"] == value()
    works(server)


def test_values_that_json_cannot_hold_are_converted(server):
    assert (
        server.predict({"action": "good link"}).json["output"] == "data:text/plain;base64,bGlua2Vk"
    )
    assert server.predict({"action": "surrogate"}).json["output"] == "\ufffd alone"
    assert server.predict({"action": "nul"}).json["output"] == "a\x00b"
    assert server.predict({"action": "text of a class"}).json["output"] == "plain"
    works(server)


def test_odd_bytes_become_text(server):
    logs = server.predict({"action": "odd bytes"}).json["logs"]
    assert "\ufffd" in logs and "tail" in logs and "lone" in logs


def test_a_flood_is_cut_with_a_note(start, directory):
    flags = ["--max-log-bytes", "1MiB"]
    server = start("", *flags, model_dir=directory, predict="predict.py:AsyncPredictor")
    for action in ("flood", "native flood"):
        logs = server.predict({"action": action}).json["logs"]
        assert len(logs) < 1.1 * (1 << 20) and "--max-log-bytes" in logs[-300:], logs[-300:]
