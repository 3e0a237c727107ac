"""Status codes by situation: docs/http-api.md#endpoints."""

from __future__ import annotations

import os
import signal
import threading

from waiting import until

SLEEPY = """
import os, time
class Predictor:
    def predict(self, s: float = 0, die: bool = False) -> str:
        time.sleep(s)
        if die:
            os.kill(os.getpid(), 9)
        return "done"
"""


def test_200_concurrent_requests_get_200_or_409_only(start):
    server = start(SLEEPY)
    statuses = []

    def ask() -> None:
        statuses.append(server.predict({"s": 0.01}).status)

    threads = [threading.Thread(target=ask) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {200, 409} and 200 in statuses
    assert server.predict({}).status == 200


def test_right_after_an_answer_the_slot_is_free(start):
    server = start(SLEEPY)
    assert {server.predict({}).status for _ in range(200)} == {200}


def test_503_while_setup_runs(start):
    server = start(
        "import time\nclass Predictor:\n    def setup(self): time.sleep(1)\n    def predict(self) -> str: ...\n",
        ready=False,
    )
    refused = server.predict({})
    assert refused.status == 503 and refused.json["status"] == "failed" and refused.json["error"]
    server.wait_status("READY")
    assert server.predict({}).status == 200


def test_503_after_a_failed_setup(start):
    server = start("raise RuntimeError('no weights')", ready=False)
    server.wait_status("SETUP_FAILED")
    refused = server.predict({})
    assert refused.status == 503 and "no weights" in refused.json["detail"]


def test_a_runner_that_dies_during_the_request(start):
    server = start(SLEEPY)
    answer = server.predict({"die": True})
    assert answer.status == 200 and answer.json["status"] == "failed"


def test_503_and_never_409_while_the_runner_restarts(start):
    server = start(
        SLEEPY.replace("class Predictor:", "class Predictor:\n    def setup(self): time.sleep(1)")
    )
    os.kill(server.runner(), signal.SIGKILL)
    until("the death was noticed", lambda: server.health()["status"] == "STARTING")
    assert server.predict({}).status == 503
    server.wait_status("READY")
    assert server.predict({}).status == 200


def test_503_once_the_runner_is_given_up(start):
    server = start(SLEEPY, "--max-restarts", "0", "--await-explicit-shutdown")
    server.predict({"die": True})
    server.wait_status("DEFUNCT")
    assert server.predict({}).status == 503
    assert server.get("/readyz").status == 503 and server.get("/livez").status == 200


def test_503_while_shutting_down(start):
    server = start(SLEEPY)
    server.predict({"s": 1}, {"Prefer": "respond-async"})
    server.ask("POST", "/shutdown")
    until("it refuses", lambda: server.predict({}).status == 503)
    assert server.process.wait(20) == 0


def test_406_for_a_stream_of_a_model_without_streaming(start):
    server = start(SLEEPY)
    assert server.predict({}, {"Accept": "text/event-stream"}).status == 406


def test_404_for_a_cancel_of_a_finished_prediction(start):
    server = start(SLEEPY)
    server.predict({}, id="over")
    assert server.ask("POST", "/predictions/over/cancel").status == 404


def test_413_for_a_body_that_is_too_large(start):
    server = start(SLEEPY, "--max-body", "1KiB")
    assert server.ask("POST", "/predictions", b'{"x": "' + b"a" * 2000 + b'"}').status == 413
    assert server.predict({}).status == 200
