"""Metrics that the model records: docs/python-api.md#scope-metrics-and-logs."""

from __future__ import annotations

import json

import pytest

from model_sources import model_source
from waiting import until

MODEL = model_source("http/metrics")


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL)


def recorded(body):
    return {name: value for name, value in body["metrics"].items() if name != "predict_time"}


ROWS = [
    ([], {}),
    ([["scope", "a", 1]], {"a": 1}),
    ([["self", "a", 1.5]], {"a": 1.5}),
    ([["set", "a", "text"]], {"a": "text"}),
    ([["emit", "a", 3]], {"a": 3}),
    ([["self", "a", True]], {"a": True}),
    ([["self", "a", [1, {"b": 2}]]], {"a": [1, {"b": 2}]}),
    ([["self", "a", {"b": {"c": 1}}]], {"a": {"b": {"c": 1}}}),
    ([["self", "a", 1], ["self", "a", 2]], {"a": 2}),
    ([["self", "a", 1, "replace"], ["self", "a", 2, "replace"]], {"a": 2}),
    ([["self", "a", 1, "incr"], ["self", "a", 2, "incr"]], {"a": 3}),
    ([["self", "a", 0.5, "incr"], ["self", "a", 0.25, "incr"]], {"a": 0.75}),
    ([["self", "a", "x", "append"], ["self", "a", "y", "append"]], {"a": ["x", "y"]}),
    ([["set", "a", 1], ["del", "a"]], {}),
    ([["set", "a", 1], ["set", "a", None]], {}),
    ([["set", "a", 1], ["del", "a"], ["set", "a", "now text"]], {"a": "now text"}),
    (
        [["self", "timing.load", 1], ["self", "timing.run.first", 2]],
        {"timing": {"load": 1, "run": {"first": 2}}},
    ),
    ([["self", "a.b.c.d", 1]], {"a": {"b": {"c": {"d": 1}}}}),
    ([["self", "snake_case_9", 1]], {"snake_case_9": 1}),
    ([["self", "big", 2**70]], {"big": 2**70}),
    ([["self", "x" * 128, 1]], {"x" * 128: 1}),
    (
        [["self", "predict_time_of_mine", 1], ["emit", "camelCase9", 2]],
        {"predict_time_of_mine": 1, "camelCase9": 2},
    ),
    ([["self", "cog", 1], ["self", "cogs.x", 2]], {"cog": 1, "cogs": {"x": 2}}),
]


@pytest.mark.parametrize(("steps", "want"), ROWS, ids=lambda v: json.dumps(v)[:50])
def test_recorded_metrics_are_in_the_answer(server, steps, want):
    body = server.predict({"steps": steps}).json
    assert body["status"] == "succeeded" and body["output"] == [None] * len(steps), body
    assert recorded(body) == want
    assert isinstance(body["metrics"]["predict_time"], float)


REFUSED = [
    "predict_time",
    "cog.x",
    "a..b",
    ".a",
    "a.",
    "a.b.c.d.e",
    "two__underscores.b",
    "a._b",
    "_a",
    "a_",
    "a__b",
    "a b",
    "a-b",
    "é",
    "9",
    "9a",
    "a.b_",
    "a.b c",
    "__proto__",
    "a\n",
    "",
    "x" * 129 + ".y",
    "a." + "x" * 127,
]


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_name_is_an_error_for_the_model_and_nothing_is_recorded(server, name):
    ways = ["self", "scope", "set", "emit"]
    body = server.predict({"steps": [[way, name, 1] for way in ways]}).json
    assert body["output"] == ["ValueError"] * len(ways), body
    assert recorded(body) == {}


@pytest.mark.parametrize(
    ("first", "second"),
    [(1, "text"), ("text", 1), (1, [1]), ({"a": 1}, 2), (True, 1)],
)
def test_a_key_keeps_its_type_until_it_is_deleted(server, first, second):
    body = server.predict({"steps": [["self", "a", first], ["self", "a", second]]}).json
    assert body["output"][0] is None and body["output"][1] in ("TypeError", "ValueError"), body
    assert recorded(body) == {"a": first}


def test_metrics_are_those_of_one_prediction(server):
    assert recorded(server.predict({"steps": [["self", "a", 1]]}).json) == {"a": 1}
    assert recorded(server.predict({"steps": []}).json) == {}


def test_a_failed_prediction_keeps_its_metrics(server):
    body = server.predict({"steps": [["self", "a", 1]], "end": "raise"}).json
    assert body["status"] == "failed" and recorded(body) == {"a": 1}
    assert body["metrics"]["predict_time"] >= 0


def test_a_canceled_prediction_keeps_its_metrics_and_shows_them_during_the_run(server, receiver):
    server.predict(
        {"steps": [["self", "a.b", 1]], "end": "hang"},
        {"Prefer": "respond-async"},
        id="it",
        webhook=receiver.url,
    )
    until(
        "it is seen while it runs",
        lambda: recorded(server.get("/predictions/it").json) == {"a": {"b": 1}},
    )
    server.ask("POST", "/predictions/it/cancel")
    body = server.ended("it")
    assert body["status"] == "canceled" and recorded(body) == {"a": {"b": 1}}
    assert body["metrics"]["predict_time"] > 0
    assert receiver.wait_terminal()["metrics"] == body["metrics"]


def test_predict_time_is_the_time_of_the_run_in_seconds(start):
    server = start(
        "import time\nclass Predictor:\n    def predict(self) -> str:\n        time.sleep(0.3)\n        return ''\n"
    )
    assert 0.3 <= server.predict({}).json["metrics"]["predict_time"] < 3
