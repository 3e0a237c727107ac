"""Trainings run `train` by the rules of predictions: docs/http-api.md#endpoints."""

from __future__ import annotations

import base64

import pytest

from model_sources import model_source
from waiting import alive, until

MODEL = model_source("http/trainings")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


def train(server, input=None, method="POST", path="/trainings", headers=None, **envelope):
    body = {**({} if input is None else {"input": input}), **envelope}
    return server.ask(method, path, body, **(headers or {}))


def test_a_training_runs_train(server):
    answer = train(server, {"data": "data:text/plain,examples", "steps": "3"})
    body = answer.json
    assert (answer.status, body["status"]) == (200, "succeeded")
    weights = "data:text/plain;base64," + base64.b64encode(b"examples").decode()
    assert body["output"] == {"weights": weights, "loss": 3.0, "note": None}
    assert body["logs"] == "step 0\nstep 1\nstep 2\n"
    assert body["metrics"]["steps"] == 3 and body["metrics"]["predict_time"] > 0
    assert body["input"] == {"data": "data:text/plain,examples", "steps": "3"}


def test_predictions_still_run_predict(server):
    assert server.predict({}).json["output"] == "predicted"


@pytest.mark.parametrize("body", [None, {}, {"input": None}, {"input": {}}])
def test_a_training_without_an_input_uses_the_defaults(server, body):
    answer = server.ask("POST", "/trainings", body)
    assert (answer.status, answer.json["output"]["loss"]) == (200, 2.0)


def test_the_input_is_checked_against_the_schema_of_train(server):
    answer = train(server, {"steps": 10, "mode": "odd", "data": "/etc/passwd"})
    assert answer.status == 422
    assert sorted(problem["loc"] for problem in answer.json["detail"]) == [
        ["body", "input", name] for name in ("data", "mode", "steps")
    ]


def test_an_input_of_predict_is_unknown(server):
    body = train(server, {"n": 5}).json
    assert body["status"] == "succeeded"
    assert "n" in body["logs"].splitlines()[0]


def test_a_failed_training_has_the_error_and_the_traceback(server):
    body = train(server, {"mode": "bad"}).json
    assert (body["status"], body["error"], body["output"]) == ("failed", "diverged", None)
    assert "ValueError: diverged" in body["logs"]


def test_an_asynchronous_training_sends_its_webhook(server, receiver):
    answer = train(
        server, {"steps": 1}, headers={"Prefer": "respond-async"}, webhook=receiver.url, id="told"
    )
    assert (answer.status, answer.json["id"], answer.json["status"]) == (202, "told", "starting")
    last = receiver.wait_terminal()
    assert (last["id"], last["status"], last["output"]["loss"]) == ("told", "succeeded", 1.0)


def test_a_put_of_a_training_is_idempotent(server):
    first = train(server, {"steps": 1}, "PUT", "/trainings/again").json
    again = train(server, {"steps": 1}, "PUT", "/trainings/again").json
    assert (first["status"], again["completed_at"]) == ("succeeded", first["completed_at"])


def test_a_put_during_a_training_shows_its_state_and_a_cancel_ends_it(server):
    body = {"input": {"mode": "endless"}}
    assert server.ask("PUT", "/trainings/long", body, Prefer="respond-async").status == 202
    shown = server.ask("PUT", "/trainings/long", body, Prefer="respond-async")
    assert (shown.status, shown.json["id"]) == (202, "long")
    assert train(server, {}).status == 409, "a training takes a slot"
    assert server.predict({}).status == 409, "the same one that predictions take"
    canceled = server.ask("POST", "/trainings/long/cancel", {})
    assert (canceled.status, canceled.json) == (200, {})
    assert server.ended("long")["status"] == "canceled"
    again = server.ask("POST", "/trainings/long/cancel", {})
    assert (again.status, again.json) == (200, {})


def test_an_id_that_is_not_the_one_of_the_path_is_refused(server):
    answer = train(server, {}, "PUT", "/trainings/one", id="two")
    assert (answer.status, answer.json["detail"][0]["loc"]) == (422, ["body", "id"])


def test_a_cancel_of_an_unknown_training_is_404(server):
    answer = server.ask("POST", "/trainings/nobody/cancel", {})
    assert (answer.status, answer.json) == (404, {})


def test_trainings_are_not_streamed(server):
    assert train(server, {}, headers={"Accept": "text/event-stream"}).status == 406


def test_discovery_and_schema_name_them(server):
    links = server.get("/").json
    assert links["trainings_url"] == "/trainings"
    assert links["trainings_idempotent_url"] == "/trainings/{training_id}"
    assert links["trainings_cancel_url"] == "/trainings/{training_id}/cancel"
    document = server.get("/openapi.json").json
    assert {"/trainings", "/trainings/{training_id}", "/trainings/{training_id}/cancel"} <= set(
        document["paths"]
    )
    schemas = document["components"]["schemas"]
    assert list(schemas["TrainingInput"]["properties"]) == ["data", "steps", "mode"]
    assert schemas["TrainingOutput"]["title"] == "TrainingOutput"
    assert schemas["TrainingOutput"]["required"] == ["weights", "loss"]
    assert {"TrainingRequest", "TrainingResponse"} <= set(schemas)


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/trainings"), ("PUT", "/trainings/x"), ("POST", "/trainings/x/cancel")],
)
def test_a_model_without_train_has_no_trainings(start, method, path):
    server = start(
        "def predict(s: str = 'a') -> str:\n    return s\n", predict="predict.py:predict"
    )
    assert server.ask(method, path, {"input": {}}).status == 404
    assert "trainings_url" not in server.get("/").json


CLASS = """
class Trainer:
    def setup(self):
        print("trainer is set up")
        self.runs = 0
    def train(self, n: int) -> int:
        self.runs += 1
        return n + self.runs
"""


def test_train_of_cog_yaml_may_be_a_class_with_its_own_setup(start, tmp_path):
    (tmp_path / "predict.py").write_text(
        "class Predictor:\n    def predict(self) -> str:\n        return 'p'\n"
    )
    (tmp_path / "learn.py").write_text(CLASS)
    (tmp_path / "cog.yaml").write_text("predict: predict.py:Predictor\ntrain: learn.py:Trainer\n")
    server = start("", "--x-mode", "train", model_dir=tmp_path)
    first = train(server, {"n": 10}).json
    assert (first["output"], first["logs"]) == (11, "trainer is set up\n")
    second = train(server, {"n": 10}).json
    assert (second["output"], second["logs"]) == (12, "")
    assert train(server, {}).status == 422


def test_train_as_a_method_shares_the_object(start):
    server = start(
        "class Predictor:\n    def setup(self):\n        self.k = 5\n    def predict(self) -> int:\n        return self.k\n    async def train(self, n: int) -> int:\n        self.k = n\n        return n\n"
    )
    assert train(server, {"n": 7}).json["output"] == 7
    assert server.predict({}).json["output"] == 7


def test_an_invalid_train_that_was_configured_fails_the_setup(start, tmp_path):
    (tmp_path / "predict.py").write_text(
        "def predict() -> str:\n    return 'p'\n\ndef train(data): ...\n"
    )
    (tmp_path / "cog.yaml").write_text("predict: predict.py:predict\ntrain: predict.py:train\n")
    server = start("", ready=False, model_dir=tmp_path)
    server.wait_status("SETUP_FAILED")
    assert "predict.py:4: data: has no type annotation" in server.health()["setup"]["logs"]


def test_an_unrelated_function_named_train_is_ignored(start):
    server = start(
        "def predict() -> str:\n    return 'p'\n\ndef train(data): ...\n",
        predict="predict.py:predict",
    )
    assert server.predict({}).json["output"] == "p"
    assert train(server, {}).status == 404
    until("the log says so", lambda: "train is not served" in server.log())


#: The training is synchronous and runs in a thread, because it must not block the loop.
BESIDE_ASYNC = model_source("http/trainings_beside_async")


def test_a_cancel_ends_a_synchronous_training_of_an_async_model(start, tmp_path):
    server = start(BESIDE_ASYNC, "--max-concurrency", "2")
    path = tmp_path / "training"
    assert (
        train(server, {"path": str(path)}, headers={"Prefer": "respond-async"}, id="t").status
        == 202
    )
    until("it trains", path.exists)
    pid = server.predict({}).json["output"]
    server.ask("POST", "/trainings/t/cancel")
    ended = server.ended("t")
    assert (ended["status"], ended["output"], ended["error"]) == ("canceled", None, None)
    end = path.with_name("training.end")
    assert end.exists() and end.read_text() == "CancelationException", (
        "it is answered once the training has ended"
    )
    assert server.predict({}).json["output"] == pid, "the process is the same"


def test_a_synchronous_training_that_ignores_a_cancel_ends_its_process(start, tmp_path):
    server = start(BESIDE_ASYNC, "--cancel-grace", "1s")
    path = tmp_path / "training"
    pid = server.predict({}).json["output"]
    train(server, {"path": str(path), "deaf": True}, headers={"Prefer": "respond-async"}, id="t")
    until("it trains", path.exists)
    server.ask("POST", "/trainings/t/cancel")
    assert server.ended("t")["status"] == "canceled"
    until("the training is gone", lambda: not alive(pid))
    server.wait_status("READY")
    assert server.predict({}).json["output"] != pid


def test_a_training_can_be_polled_like_a_prediction(start):
    server = start(MODEL)
    for n in range(3):
        server.ask("PUT", f"/predictions/p{n}", {"input": {}})
        train(server, {"steps": n + 1}, "PUT", f"/trainings/t{n}")
    found = server.get("/trainings/t1")
    assert (found.status, found.json["status"], found.json["output"]["loss"]) == (
        200,
        "succeeded",
        2.0,
    )
    listed = server.get("/trainings")
    assert [t["id"] for t in listed.json["results"]] == ["t2", "t1", "t0"]
    assert listed.json["next"] is None
    assert server.get("/trainings?cursor=odd").status == 404


def test_pages_of_trainings_contain_only_trainings(start):
    server = start(MODEL)
    for n in range(102):
        server.ask("PUT", f"/trainings/t{n}", {"input": {"steps": 1}})
        if n % 10 == 0:
            server.ask("PUT", f"/predictions/p{n}", {"input": {}})
    first = server.get("/trainings").json
    second = server.get(f"/trainings?cursor={first['next']}").json
    ids = [t["id"] for t in first["results"] + second["results"]]
    assert ids == [f"t{n}" for n in reversed(range(102))]
    assert second["next"] is None


def test_paths_of_predictions_show_trainings_and_not_the_other_way_round(start):
    """The paths of predictions include trainings, as their lists do; those of trainings have only
    trainings.
    """
    server = start(MODEL)
    server.ask("PUT", "/predictions/p", {"input": {}})
    train(server, {}, "PUT", "/trainings/t")
    assert server.get("/predictions/t").json["output"]["loss"] == 2.0
    assert {p["id"] for p in server.get("/predictions").json["results"]} == {"p", "t"}
    refused = server.get("/trainings/p")
    assert (refused.status, refused.json["error"]) == (
        404,
        "no training has this id, but a prediction",
    )
    assert server.get("/trainings/p/stream").status == 404
    assert server.get("/trainings/nobody").status == 404
    server.ask("PUT", "/predictions/w", {"input": {"wait": True}}, Prefer="respond-async")
    until("it runs", lambda: server.get("/predictions/w").json["status"] == "processing")
    assert server.ask("POST", "/trainings/w/cancel").status == 404
    assert server.get("/predictions/w").json["status"] == "processing"
    assert server.ask("POST", "/predictions/w/cancel").status == 200


def test_the_events_of_a_training_can_be_read(server):
    train(server, {"steps": 2}, "PUT", "/trainings/events")
    stream = server.get("/trainings/events/stream")
    assert (stream.status, stream.headers["content-type"]) == (200, "text/event-stream")
    assert b"event: completed" in stream.body


def test_a_model_without_train_lists_no_trainings(start):
    server = start("class Predictor:\n    def predict(self) -> str: return 'ok'\n")
    for path in ("/trainings", "/trainings/x", "/trainings/x/stream"):
        assert server.get(path).status == 404
