"""The metrics that a model records about its run."""

from __future__ import annotations

from typing import Any

import pytest

from runner.conftest import Start
from runner.harness import Runner


@pytest.fixture(params=["records", "async_records"])
def model(request: Any, shared: Start) -> Runner:
    return shared(f"metrics.py:{request.param}")


def metrics_of(response: Any) -> dict[str, Any]:
    """The metrics of a response, without that of the runtime."""
    metrics: dict[str, Any] = response["metrics"]
    assert 0 <= metrics.pop("predict_time") < 60
    return metrics


#: Steps that do not raise, and the metrics after them.
ACCEPTED: list[tuple[list[Any], dict[str, Any]]] = [
    ([], {}),
    ([["a", 1]], {"a": 1}),
    ([["a", 1.5], ["a", 2]], {"a": 2}),
    (
        [["a", True], ["b", "text"], ["c", [1]], ["d", {"x": 1}]],
        {"a": True, "b": "text", "c": [1], "d": {"x": 1}},
    ),
    ([["a", 2**70]], {"a": 2**70}),
    ([["a", 1, "incr"], ["a", 2, "increment"]], {"a": 3}),
    ([["a", 1], ["a", 0.5, "incr"]], {"a": 1.5}),
    ([["a", 1, "append"], ["a", "x", "append"]], {"a": [1, "x"]}),
    ([["a", [1]], ["a", [2], "append"]], {"a": [1, [2]]}),
    ([["a", 1, "replace"], ["a", 2, "replace"]], {"a": 2}),
    ([["a", 1], ["a", None]], {}),
    ([["a", None]], {}),
    ([["a", 1], ["a", None], ["a", "text"]], {"a": "text"}),
    (
        [["a.b", 1], ["a.c", 2], ["d.e.f.g", 3]],
        {"a": {"b": 1, "c": 2}, "d": {"e": {"f": {"g": 3}}}},
    ),
    ([["a.b", 1], ["a.b", None]], {}),
    ([["a.b", 1], ["a.c", 2], ["a.b", None]], {"a": {"c": 2}}),
    ([["z", 1], ["a", 2]], {"z": 1, "a": 2}),
    ([["predict_time_of_mine", 1], ["cogs", 2]], {"predict_time_of_mine": 1, "cogs": 2}),
    ([["tokens_per_second.first2.a_b", 1]], {"tokens_per_second": {"first2": {"a_b": 1}}}),
]


@pytest.mark.parametrize(("steps", "metrics"), ACCEPTED, ids=[str(row[0])[:60] for row in ACCEPTED])
def test_recorded_metrics_are_in_the_response(
    model: Runner, steps: list[Any], metrics: dict[str, Any]
) -> None:
    response = model.predict({"steps": steps})
    assert response["output"] == [None] * len(steps)
    assert metrics_of(response) == metrics
    assert list(response["metrics"]) == list(metrics)


#: A first step that works, or None; one that raises; the words of the error.
REFUSED: list[tuple[Any, Any, str]] = [
    (None, ["predict_time", 1], "predict_time"),
    (None, ["cog.x", 1], "cog.x"),
    (None, ["", 1], "1 to 128 characters"),
    (None, ["x" * 129, 1], "1 to 128 characters"),
    (None, [3, 1], "metric name 3"),
    (None, ["a.b.c.d.e", 1], "a.b.c.d.e"),
    (None, ["a..b", 1], "a..b"),
    (None, [".a", 1], ".a"),
    (None, ["a.", 1], "a."),
    (None, ["a.9", 1], "a.9"),
    (None, ["a.b__c", 1], "a.b__c"),
    (None, ["a.b-c", 1], "a.b-c"),
    (None, ["a.b_", 1], "a.b_"),
    (None, ["old name-with_odd characters", 1], "a letter first"),
    (None, ["_a", 1], "_a"),
    (None, ["a_", 1], "a_"),
    (None, ["é", 1], "é"),
    (None, ["9", 1], "'9'"),
    (None, ["a", 1, "multiply"], "multiply"),
    (None, ["a", "text", "incr"], "increment needs numbers"),
    (None, ["a", True, "incr"], "increment needs numbers"),
    (["a", 1], ["a", "text"], "it is a number"),
    (["a", 1], ["a", True], "it is a number"),
    (["a", 1], ["a", [1]], "it is a number"),
    (["a", "text"], ["a", 1, "incr"], "increment needs numbers"),
    (["a", 1], ["a", 1, "append"], "cannot append"),
    (["a", 1], ["a.b", 1], "'a' exists already"),
    (["a.b", 1], ["a", 1], "'a.b' exists already"),
    (["a", {"b": 1}], ["a.b", 1], "'a' exists already"),
]


@pytest.mark.parametrize(
    ("first", "step", "text"), REFUSED, ids=[str(row[:2])[:60] for row in REFUSED]
)
def test_wrong_metric_is_refused_by_name_and_changes_nothing(
    model: Runner, first: Any, step: Any, text: str
) -> None:
    good = [first] if first else []
    response = model.predict({"steps": [*good, step]})
    said = response["output"][-1]
    assert text in said
    assert said.split(":")[0] in ("TypeError", "ValueError")
    assert metrics_of(response) == metrics_of(model.predict({"steps": good}))
    assert len(model.events(response["id"])) == len(good)


def test_each_recording_is_an_event_with_the_whole_value_of_its_key(model: Runner) -> None:
    steps = [
        ["a", 1],
        ["a", 2, "incr"],
        ["a", 3, "increment"],
        ["t.x", 1, "append"],
        ["t.y", 2],
        ["t.x", None],
        ["a", None],
    ]
    events = model.events(model.predict({"steps": steps})["id"])
    assert events == [
        {"type": "metric", "name": "a", "value": 1, "mode": "replace", "key": "a", "total": 1},
        {"type": "metric", "name": "a", "value": 2, "mode": "increment", "key": "a", "total": 3},
        {"type": "metric", "name": "a", "value": 3, "mode": "increment", "key": "a", "total": 6},
        {
            "type": "metric",
            "name": "t.x",
            "value": 1,
            "mode": "append",
            "key": "t",
            "total": {"x": [1]},
        },
        {
            "type": "metric",
            "name": "t.y",
            "value": 2,
            "mode": "replace",
            "key": "t",
            "total": {"x": [1], "y": 2},
        },
        {
            "type": "metric",
            "name": "t.x",
            "value": None,
            "mode": "replace",
            "key": "t",
            "total": {"y": 2},
        },
        {"type": "metric", "name": "a", "value": None, "mode": "replace", "key": "a"},
    ]


def test_metrics_are_a_mapping(shared: Start) -> None:
    response = shared("metrics.py:mapping").predict({"steps": []})
    assert response["output"] == [{"a": 1, "b.c": 2}, 2, 2, True, None]
    assert metrics_of(response) == {"a": 1, "b": {"c": 2}}


def test_every_spelling_records_and_setup_records_nothing(shared: Start) -> None:
    assert metrics_of(shared("metrics.py:Spellings").predict({"steps": []})) == {
        "a": 1,
        "b": 2.5,
        "c": 12,
    }


def test_failed_prediction_keeps_its_metrics(shared: Start) -> None:
    response = shared("metrics.py:fails").predict({"steps": [["a", 1]]})
    assert (response["status"], metrics_of(response)) == ("failed", {"a": 1})


def test_scalar_of_a_numeric_library_is_a_number(shared: Start) -> None:
    assert metrics_of(shared("metrics.py:scalars").predict({"steps": []})) == {"x": 1.5}


def test_each_prediction_begins_without_metrics(model: Runner) -> None:
    model.predict({"steps": [["a", 1]]})
    assert metrics_of(model.predict({"steps": [["b", 2]]})) == {"b": 2}
