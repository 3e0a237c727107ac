"""`Cancel-After` and --predict-timeout: docs/http-api.md#waiting-and-deadlines."""

from __future__ import annotations

import time

import pytest

MODEL = """
import time
from typing import Iterator
class Predictor:
    def predict(self, s: float = 0) -> Iterator[str]:
        print("begun", flush=True)
        yield "first"
        time.sleep(s)
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--predict-timeout", "1", "--max-queue", "1")


@pytest.fixture(scope="module")
def patient(start_once):
    return start_once(MODEL)


def test_the_server_has_a_deadline(server, receiver):
    answer = server.predict({"s": 60}, webhook=receiver.url)
    body = answer.json
    assert answer.status == 200 and body["status"] == "canceled"
    assert "deadline of 1s" in body["error"]
    assert (body["output"], body["logs"]) == (["first"], "begun\n")
    assert receiver.wait_terminal() == body


def test_a_queued_prediction_has_a_deadline_too(server):
    server.predict({"s": 60}, {"Prefer": "respond-async"}, id="runs")
    body = server.predict({}, id="waits").json
    assert server.ended("runs")["status"] == "canceled"
    assert body["status"] == "succeeded" or "deadline" in body["error"]


def test_a_request_has_a_deadline(patient):
    began = time.monotonic()
    body = patient.predict({"s": 60}, {"Cancel-After": "5"}).json
    assert body["status"] == "canceled" and "deadline of 5s" in body["error"]
    assert time.monotonic() - began >= 5


def test_the_shorter_deadline_counts(server):
    assert "deadline of 1s" in server.predict({"s": 60}, {"Cancel-After": "5m"}).json["error"]


@pytest.mark.parametrize("given", ["5", "5.5", "5000ms", "30s", "5m", "1h30m", "1e6", "999h"])
def test_a_prediction_that_ends_before_its_deadline_succeeds(patient, given):
    body = patient.predict({}, {"Cancel-After": given}).json
    assert body["status"] == "succeeded" and body["error"] is None


@pytest.mark.parametrize(
    "given",
    ["4", "4.99s", "0", "-5", "-5s", "soon", "5 s", "1d", "inf", "nan", "1e300", "99999999999h"],
)
def test_an_invalid_or_too_short_deadline_is_refused(patient, given):
    answer = patient.predict({}, {"Cancel-After": given})
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["header", "Cancel-After"]
