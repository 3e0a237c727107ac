"""`Prefer: wait` and `wait=N`: docs/http-api.md#waiting-and-deadlines."""

from __future__ import annotations

import threading

import pytest

from waiting import until

MODEL = """
import time
from typing import Iterator
class Predictor:
    def predict(self, s: float = 0, fail: bool = False) -> Iterator[str]:
        print("begun")
        yield "first"
        time.sleep(s)
        if fail:
            raise ValueError("boom")
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


@pytest.mark.parametrize(
    "prefer", ["wait", "wait=60", "wait=5;x=y", "WAIT = 5", 'wait="5"', "return=minimal, wait=5"]
)
@pytest.mark.parametrize(("input", "status"), [({}, "succeeded"), ({"fail": True}, "failed")])
def test_200_once_the_prediction_has_ended(server, prefer, input, status):
    answer = server.predict(input, {"Prefer": prefer})
    assert answer.status == 200 and answer.json["status"] == status


@pytest.mark.parametrize("prefer", ["wait=0", "wait=1.5", "return=minimal, wait=2, wait=60"])
def test_202_with_the_state_when_the_time_is_over(server, prefer):
    answer = server.predict({"s": 60}, {"Prefer": prefer}, id="slow")
    assert answer.status == 202
    assert (
        answer.json["status"] in ("starting", "processing") and answer.json["completed_at"] is None
    )
    if prefer != "wait=0":
        assert (answer.json["output"], answer.json["logs"]) == (["first"], "begun\n")
    assert server.get("/predictions/slow").json["status"] in ("starting", "processing"), (
        "the prediction continues"
    )
    server.ask("POST", "/predictions/slow/cancel")
    server.ended("slow")


def test_a_put_that_waits_finds_the_result_of_an_earlier_one(server):
    assert server.ask("PUT", "/predictions/twice", {"input": {}}, Prefer="wait").status == 200
    first = server.get("/predictions/twice").json
    again = server.ask("PUT", "/predictions/twice", {"input": {}}, Prefer="wait=1")
    assert (again.status, again.json) == (200, first)


def test_a_canceled_prediction_ends_the_wait(server):
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(server.predict({"s": 60}, {"Prefer": "wait=30"}, id="cut"))
    )
    waiting.start()

    until("it runs", lambda: server.get("/predictions/cut").status == 200)
    until("it can be canceled", lambda: server.ask("POST", "/predictions/cut/cancel").status == 200)
    waiting.join()
    assert answers[0].status == 200 and answers[0].json["status"] == "canceled"
