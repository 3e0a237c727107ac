"""Section 13: trainings, for a model with `train`."""

from __future__ import annotations

import pytest

from waiting import until

MODEL = """
import time
from cog import BasePredictor, BaseModel
class Predictor(BasePredictor):
    def predict(self, text: str = "p") -> str:
        return "predicted " + text
    def train(self, steps: int, s: float = 0) -> str:
        print("training")
        time.sleep(s)
        if steps < 0:
            raise ValueError("negative")
        return f"trained {steps}"
"""
FUNCTION = """
class Predictor:
    def predict(self) -> str:
        return "predicted"
def train(n: int = 1) -> int:
    return n
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


def train(server, input, method="POST", path="/trainings", **headers):
    return server.ask(method, path, {"input": input}, **headers)


def test_they_run_train(server):
    answer = train(server, {"steps": 3})
    body = answer.json
    assert answer.status == 200
    assert (body["status"], body["output"], body["logs"]) == ("succeeded", "trained 3", "training\n")
    assert body["metrics"]["predict_time"] >= 0 and body["input"] == {"steps": 3}
    assert server.predict({}).json["output"] == "predicted p"


def test_a_failure_is_an_answer(server):
    body = train(server, {"steps": -1}).json
    assert (body["status"], body["error"]) == ("failed", "negative")


@pytest.mark.parametrize("path", ["/trainings", "/trainings/x"])
def test_their_input_is_checked(server, path):
    answer = train(server, {"steps": "x"}, "PUT" if path.endswith("x") else "POST", path)
    assert answer.status == 422 and answer.json["detail"][0]["loc"] == ["body", "input", "steps"]


def test_a_put_is_idempotent_and_can_be_polled_and_canceled(server):
    first = train(server, {"steps": 1, "s": 60}, "PUT", "/trainings/long", Prefer="respond-async")
    assert first.status == 202
    assert train(server, {"steps": 1, "s": 60}, "PUT", "/trainings/long").status == 202
    assert server.ask("PUT", "/predictions/long", {"input": {}}).status == 409, "the id is taken by a training"
    assert server.predict({}).status == 409, "they share the slots"
    until("it runs", lambda: server.get("/predictions/long").json["logs"])
    assert server.ask("POST", "/trainings/long/cancel").json == {}
    assert server.ended("long")["status"] == "canceled"
    again = train(server, {"steps": 1}, "PUT", "/trainings/short").json
    assert train(server, {"steps": 1}, "PUT", "/trainings/short").json == again
    assert server.ask("PUT", "/predictions/short", {"input": {}}).json["output"] == "predicted p"


def test_an_id_of_the_path_and_of_the_body(server):
    answer = server.ask("PUT", "/trainings/one", {"id": "two", "input": {"steps": 1}})
    assert answer.status == 422 and answer.json["detail"][0]["loc"] == ["body", "id"]
    assert server.ask("PUT", "/trainings/" + "x" * 513, {"input": {"steps": 1}}).status == 422


def test_they_are_no_streams(server):
    assert train(server, {"steps": 1}, Accept="text/event-stream").status == 406


def test_a_webhook_hears_of_one(server, receiver):
    server.ask("POST", "/trainings", {"input": {"steps": 2}, "webhook": receiver.url}, Prefer="respond-async")
    assert receiver.wait_terminal()["output"] == "trained 2"


@pytest.mark.parametrize("id", ["unknown", "..%2Fx"])
def test_a_cancel_of_none(server, id):
    answer = server.ask("POST", f"/trainings/{id}/cancel")
    assert (answer.status, answer.json) == (404, {})


def test_discovery_and_schema_name_them(server):
    found = server.get("/").json
    assert found["trainings_url"] == "/trainings"
    assert found["trainings_idempotent_url"] == "/trainings/{training_id}"
    assert found["trainings_cancel_url"] == "/trainings/{training_id}/cancel"
    document = server.get("/openapi.json").json
    assert {"/trainings", "/trainings/{training_id}", "/trainings/{training_id}/cancel"} <= set(document["paths"])
    assert {"TrainingInput", "TrainingOutput"} <= set(document["components"]["schemas"])


@pytest.mark.parametrize(
    "flags", [["--x-mode", "train"], ["--x-mode=predict", "--threads", "2"], ["--train", "predict.py:train"]]
)
def test_a_function_beside_the_predictor_trains_in_every_mode(start_once, flags):
    server = start_once(FUNCTION, *flags)
    assert train(server, {"n": 5}).json["output"] == 5
    assert server.predict({}).json["output"] == "predicted"


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/trainings"), ("PUT", "/trainings/x"), ("POST", "/trainings/x/cancel")]
)
def test_404_without_train(start_once, method, path):
    server = start_once("class Predictor:\n    def predict(self) -> str: ...\n")
    answer = server.ask(method, path, {})
    assert answer.status == 404 and answer.headers["content-type"] == "application/json"
    assert not [p for p in server.get("/openapi.json").json["paths"] if "training" in p]
