"""The context of a request reaches the model."""

from __future__ import annotations

from typing import Any

import pytest

from runner.conftest import Start
from runner.harness import Runner


@pytest.fixture(params=["shows", "async_shows"])
def model(request: Any, shared: Start) -> Runner:
    return shared(
        f"context.py:{request.param}",
        *(["--max-concurrency", "8"] if "async" in request.param else []),
    )


def test_model_sees_the_context_of_its_request(model: Runner) -> None:
    assert model.predict({}, context={"user": "u1", "é": ""})["output"] == {"user": "u1", "é": ""}


def test_request_without_context_has_an_empty_one(model: Runner) -> None:
    assert model.predict({})["output"] == {}


def test_changes_of_a_model_to_its_context_end_with_its_run(model: Runner) -> None:
    model.predict({"change": True}, context={"user": "u1"})
    assert model.predict({}, context={"user": "u2"})["output"] == {"user": "u2"}


def test_predictions_at_once_see_their_own_context(shared: Start) -> None:
    r = shared("context.py:async_shows", "--max-concurrency", "8")
    ids = [r.send(f"c{n}", {}, context={"n": str(n)}) for n in range(8)]
    assert [r.response(id)["output"] for id in ids] == [{"n": str(n)} for n in range(8)]


def test_thread_sees_the_context_when_it_is_given_it(shared: Start) -> None:
    assert shared("context.py:in_thread").predict({}, context={"user": "u1"})["output"] == [
        {},
        {"user": "u1"},
    ]


def test_setup_has_no_context(shared: Start) -> None:
    assert shared("context.py:InSetup").predict({}, context={"user": "u1"})["output"] == {}
