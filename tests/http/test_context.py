"""The context that the client sends to the model next to the input."""

from __future__ import annotations

import asyncio
import json

import pytest

SYNC = """
import threading
from typing import Any
from cog import BasePredictor, current_scope
class Predictor(BasePredictor):
    def setup(self):
        self.at_setup = dict(current_scope().context)
    def predict(self) -> Any:
        seen = dict(current_scope().context)
        current_scope().context["changed"] = "by the model"
        return [self.at_setup, seen]
"""

ASYNC = """
import asyncio
from typing import Any
from cog import BasePredictor, current_scope
class Predictor(BasePredictor):
    async def predict(self) -> Any:
        await asyncio.sleep(0.05)
        return [{}, dict(current_scope().context)]
"""


@pytest.fixture(scope="module", params=[SYNC, ASYNC], ids=["sync", "async"])
def server(start_once, request):
    return start_once(request.param)


@pytest.mark.parametrize(
    "context",
    [
        {},
        {"a": "1"},
        {"": "empty name"},
        {"é😀": "ü\n\0"},
        {"id": "of the client"},
        {"long": "x" * 100_000},
        {f"k{i}": str(i) for i in range(100)},
    ],
    ids=lambda c: json.dumps(c)[:30],
)
def test_the_model_sees_the_context_of_its_request(server, context):
    assert server.predict({}, context=context).json["output"] == [{}, context]


def test_without_a_context_it_is_empty_even_after_one_was_changed(server):
    server.predict({}, context={"a": "1"})
    assert server.predict({}).json["output"] == [{}, {}]
    assert server.predict({}, context=None).json["output"] == [{}, {}]


def test_the_context_is_not_shown_to_others(server):
    body = server.predict({}, id="shy", context={"token": "for the model"}).json
    assert "context" not in body
    assert "context" not in server.get("/predictions/shy").json


def test_concurrent_predictions_have_their_own_contexts(start):
    server = start(ASYNC, "--max-concurrency", "8")

    async def all_at_once():
        return await asyncio.gather(
            *(asyncio.to_thread(server.predict, {}, context={"n": str(n)}) for n in range(8)),
        )

    answers = asyncio.run(all_at_once())
    assert [a.json["output"][1] for a in answers] == [{"n": str(n)} for n in range(8)]
