"""Predictions through a shared queue: docs/queue.md."""

from __future__ import annotations

import pytest

MODEL = """
import time
class Predictor:
    def predict(self, name: str = "you", s: float = 0) -> str:
        time.sleep(s)
        return "hello " + name
"""


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    return start_fleet_once(MODEL)


def test_any_gateway_runs_a_prediction(fleet):
    for gateway in fleet.gateways:
        answer = gateway.predict({"name": "Ada"})
        assert answer.status == 200 and answer.json["output"] == "hello Ada"
