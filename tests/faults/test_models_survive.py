"""Models that misuse everything they can reach, with the real server: each gets one answer, and the
next prediction works.
"""

from __future__ import annotations

import pathlib

import pytest

from models import hostile
from waiting import until

pytestmark = pytest.mark.timeout(240)

SOURCE = pathlib.Path(hostile.__file__).read_text()


@pytest.fixture(scope="module", params=["Predictor", "AsyncPredictor"])
def server(request, start_once):
    """A server that all tests share; those that end its runner wait for the next one."""
    made = start_once(SOURCE, "--max-restarts", "100", predict=f"predict.py:{request.param}")
    made.asynchronous = request.param == "AsyncPredictor"
    return made


def works(server):
    """The next prediction works, with nothing left of the one before."""
    answer = server.predict({"deed": ""}).json
    assert (answer["status"], answer["output"], answer["error"]) == ("succeeded", "done", None), (
        answer
    )
    answer = server.predict({"deed": "restore"}).json
    assert answer["status"] == "succeeded", answer


#: Actions that end the event loop, which model and runner share. The server restarts the runner.
NOT_WITH_A_LOOP = {"builtins", "every descriptor but three"}


@pytest.mark.parametrize("deed", hostile.BENIGN)
def test_misuse_that_returns_a_value_is_answered_with_it(server, deed):
    runner = server.runner()
    answer = server.predict({"deed": deed}).json
    assert (answer["status"], answer["error"]) == ("succeeded", None), answer
    assert answer["metrics"]["predict_time"] >= 0
    if server.asynchronous and deed in NOT_WITH_A_LOOP:
        until("the process is another", lambda: server.runner() != runner)
        server.wait_status("READY")
    works(server)


@pytest.mark.parametrize("deed", hostile.FAILING)
def test_misuse_that_fails_is_answered_as_failed(server, deed):
    runner = server.runner()
    answer = server.predict({"deed": deed}).json
    assert answer["status"] == "failed" and hostile.FAILING[deed][1] in answer["error"], answer
    assert len(answer["error"]) < 20_000 and len(answer["logs"]) < 100_000
    works(server)
    assert server.runner() == runner, "the process is the same"


@pytest.mark.parametrize("deed", hostile.DEADLY)
def test_misuse_that_ends_the_process_is_answered_and_the_runner_replaced(server, deed):
    answer = server.predict({"deed": deed}).json
    assert answer["status"] == "failed" and hostile.DEADLY[deed][1] in answer["error"], answer
    server.wait_status("READY")
    works(server)


@pytest.mark.parametrize(
    "deed", ["streams closed", "streams gone", "descriptors closed", "stdin closed"]
)
def test_streams_closed_by_a_model_are_restored(server, deed):
    assert server.predict({"deed": deed}).json["status"] == "succeeded"
    answer = server.predict({"deed": "print"}).json
    assert answer["status"] == "succeeded" and sorted(answer["logs"].splitlines()) == [
        "printed",
        "printed too",
    ], answer


def test_large_outputs_are_complete(server):
    for deed, value in hostile.LARGE.items():
        answer = server.ask("POST", "/predictions", {"input": {"deed": deed}}, timeout=120)
        assert answer.json["output"] == value()
    works(server)


def test_values_that_json_cannot_hold_are_converted(server):
    assert server.predict({"deed": "good link"}).json["output"] == "data:text/plain;base64,bGlua2Vk"
    assert server.predict({"deed": "surrogate"}).json["output"] == "\ufffd alone"
    assert server.predict({"deed": "nul"}).json["output"] == "a\x00b"
    assert server.predict({"deed": "text of a class"}).json["output"] == "plain"
    works(server)


def test_odd_bytes_become_text(server):
    logs = server.predict({"deed": "odd bytes"}).json["logs"]
    assert "\ufffd" in logs and "tail" in logs and "lone" in logs


def test_a_flood_is_cut_with_a_note(start):
    server = start(SOURCE, "--max-log-bytes", "1MiB", predict="predict.py:AsyncPredictor")
    for deed in ("flood", "native flood"):
        logs = server.predict({"deed": deed}).json["logs"]
        assert len(logs) < 1.1 * (1 << 20) and "--max-log-bytes" in logs[-300:], logs[-300:]
