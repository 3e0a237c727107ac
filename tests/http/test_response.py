"""The JSON of a prediction, and the bodies of error answers: docs/http-api.md#the-prediction."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import pytest

from http_events import Stream
from model_sources import model_source

MODEL = model_source("http/response")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")


def test_a_prediction_has_these_members(server):
    body = server.predict({"what": "text"}).json
    assert list(body) == [
        "id", "status", "input", "output", "error", "logs", "metrics", "created_at", "started_at", "completed_at",
    ]  # fmt: skip
    assert body["input"] == {"what": "text"}
    assert body["error"] is None
    assert body["logs"] == "log of text\n"
    assert body["metrics"]["predict_time"] >= 0
    assert all(TIME.fullmatch(body[name]) for name in ("created_at", "started_at", "completed_at"))
    assert body["created_at"] <= body["started_at"] <= body["completed_at"]


def times(value):
    """Every time in an answer, by its usual name."""
    if isinstance(value, list):
        return [time for item in value for time in times(item)]
    if not isinstance(value, dict):
        return []
    own = [text for name, text in value.items() if name.endswith("_at") and isinstance(text, str)]
    return own + [time for item in value.values() for time in times(item)]


def test_every_time_has_the_same_format(server, receiver):
    made = server.predict({"what": "text"}, id="timed", webhook=receiver.url).json
    form = (
        b'--b\r\nContent-Disposition: form-data; name="content"; filename="f"\r\n\r\nx\r\n--b--\r\n'
    )
    uploaded = server.ask("POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=b")
    with Stream(server.port, "GET", "/predictions/timed/stream") as stream:
        completed = stream.until("completed")[-1].data
    shown = {
        "POST": made,
        "the event": completed,
        "the webhook": receiver.wait_terminal(),
        "an upload": uploaded.json,
    }
    paths = [
        "/health-check",
        "/predictions/timed",
        "/predictions",
        "/v1/predictions/timed",
        "/v1/predictions",
        "/v1/files",
    ]
    model = "/v1/models/acme/thing"
    paths += ["/v1/models", model, f"{model}/versions", f"{model}/versions/{'0' * 64}"]
    for name, body in {**shown, **{path: server.get(path).json for path in paths}}.items():
        found = times(body)
        assert found and all(TIME.fullmatch(time) for time in found), (name, found)
        for time in found:  # Python before 3.11 reads six digits and a zone of digits only
            assert datetime.fromisoformat(time).utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("zero", b"0"),
        ("float zero", b"0.0"),
        ("false", b"false"),
        ("empty", b'""'),
        ("empty list", b"[]"),
        ("empty object", b"{}"),
        ("none", b"null"),
        ("one item", b'["x"]'),
        ("big", b"1180591620717411303424"),
        ("ordered", b'{"z":1,"a":2}'),
        ("nested", b'{"l":[1,[2.5,null]]}'),
        ("text", '"é😀\\n"'.encode()),
    ],
)
def test_outputs_are_exact(server, what, text):
    answer = server.predict({"what": what})
    assert answer.status == 200 and answer.json["status"] == "succeeded"
    assert b'"output":' + text + b"," in answer.body


@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("raise", "boom"),
        ("raise nothing", "ValueError"),
        ("raise key", "'k'"),
        ("nan", "NaN"),
        ("inf", "output[1].x"),
        ("unserialisable", "object"),
        ("bytes", "bytes"),
    ],
)
def test_a_failed_prediction_is_answered_with_200(server, what, error):
    answer = server.predict({"what": what})
    assert answer.status == 200
    body = answer.json
    assert body["status"] == "failed" and error in body["error"]
    assert body["output"] is None
    assert body["logs"].startswith(f"log of {what}\n")
    assert body["metrics"]["predict_time"] >= 0
    assert ("Traceback" in body["logs"]) == what.startswith("raise")
    if what == "raise":
        assert body["error"] == "boom"


def test_an_async_answer_repeats_the_request(server):
    body = server.predict({"what": "text"}, {"Prefer": "respond-async"}, id="async").json
    assert body["id"] == "async" and body["status"] in ("starting", "processing")
    assert body["input"] == {"what": "text"} and body["created_at"] and body["started_at"]
    server.ended("async")


def test_the_error_of_a_busy_server_has_detail_error_and_status(start):
    server = start(
        "import time\nclass Predictor:\n    def predict(self) -> int:\n        time.sleep(1)\n        return 1\n"
    )
    server.predict({}, {"Prefer": "respond-async"})
    body = server.predict({})
    assert body.status == 409
    assert body.json["detail"] == body.json["error"] and body.json["status"] == "failed"


@pytest.mark.parametrize(
    ("returns", "value", "status", "output"),
    [
        ("str", "None", "succeeded", None),
        ("int", "5.0", "succeeded", 5),
        ("int", "'5'", "succeeded", 5),
        ("int", "5.5", "failed", None),
        ("float", "1", "succeeded", 1.0),
        ("str", "5", "failed", None),
        ("bool", "1", "failed", None),
        ("List[int]", "[1, '2']", "succeeded", [1, 2]),
        ("List[int]", "[1, 'x']", "failed", None),
        ("dict", "{'a': 1}", "succeeded", {"a": 1}),
        ("dict", "[1]", "failed", None),
        ("List[str]", "('a', 'b')", "succeeded", ["a", "b"]),
    ],
)
def test_the_declared_output_type_is_checked(start, returns, value, status, output):
    server = start(
        f"from typing import List\nclass Predictor:\n    def predict(self) -> {returns}:\n        return {value}\n"
    )
    body = server.predict({}).json
    assert (body["status"], body["output"]) == (status, output), body
    if status == "failed":
        assert body["error"].startswith("output")
