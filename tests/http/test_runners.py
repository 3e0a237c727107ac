"""Several runner processes under one server."""

from __future__ import annotations

import os
import signal

from waiting import until

MODEL = """
import os, time
class Predictor:
    def predict(self, s: float = 0) -> list:
        time.sleep(s)
        return [os.environ["COGGO_RUNNER_INDEX"], str(os.getpid())]
"""


def test_a_synchronous_model_runs_as_often_as_there_are_runners(start):
    server = start(MODEL, "--runners", "3")
    until("all are ready", lambda: server.health()["concurrency"]["max"] == 3)
    for n in range(3):
        assert server.predict({"s": 0.5}, {"Prefer": "respond-async"}, id=f"p{n}").status == 202
    assert server.health()["status"] == "BUSY"
    assert server.predict({}).status == 409
    answers = [server.ended(f"p{n}")["output"] for n in range(3)]
    assert sorted(index for index, _ in answers) == ["0", "1", "2"]
    assert len({pid for _, pid in answers}) == 3


def test_a_runner_that_dies_is_replaced_alone(start):
    server = start(MODEL, "--runners", "2")
    until("both are ready", lambda: server.health()["concurrency"]["max"] == 2)
    server.predict({"s": 60}, {"Prefer": "respond-async"}, id="stays")
    _, victim = server.predict({}).json["output"]
    os.kill(int(victim), signal.SIGKILL)
    until("the death was noticed", lambda: "starting it again" in server.log())
    until("there are two again", lambda: server.health()["concurrency"] == {"max": 2, "current": 1})
    _, other = server.predict({}).json["output"]
    assert other != victim
    assert server.get("/predictions/stays").json["status"] == "processing"
    server.ask("POST", "/predictions/stays/cancel")
    assert server.ended("stays")["status"] == "canceled"
