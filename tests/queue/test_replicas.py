"""A broker of three nodes: docs/queue.md, The broker."""

from __future__ import annotations

import pytest

from faults_models import ASYNC
from queue_harness import unique_name
from waiting import until

MODEL = """
import pathlib, time
class Predictor:
    def predict(self, gate: str = "", s: str = "") -> str:
        while gate and not pathlib.Path(gate).exists():
            time.sleep(0.01)
        return s
"""


@pytest.fixture
def fleet(start_fleet):
    fleet = start_fleet(nodes=3)
    name = unique_name()
    for _ in range(2):  # who comes first makes what is missing
        fleet.worker(MODEL, "--queue-replicas", "3", name=name)
        fleet.gateway("--queue-replicas", "3", "--name", name)
    fleet.wait_workers(2)
    return fleet


def test_all_is_stored_three_times_and_read_from_the_leader(fleet):
    """Another node may not have it yet: what was just stored would be missing."""
    streams = fleet.broker.streams()
    assert {name: c["num_replicas"] for name, c in streams.items()} == dict.fromkeys(streams, 3)
    assert {"COGGO_Q", "COGGO_P", "COGGO_H", "COGGO_F", "COGGO_U"} <= set(streams)
    assert not [name for name, config in streams.items() if config.get("allow_direct")]


@pytest.mark.timeout(180)
def test_predictions_go_on_without_a_node(fleet, tmp_path):
    gate = tmp_path / "gate"
    one, other = fleet.gateways
    answer = one.predict({"gate": str(gate), "s": "x" * 600_000}, ASYNC, id="through")
    assert answer.status == 202
    fleet.broker.nodes[0].kill()
    until("it takes predictions", lambda: other.predict({}, ASYNC, id="next").status == 202, 60)
    gate.touch()
    assert other.ended("through", 60)["output"] == "x" * 600_000
    assert other.ended("next", 60)["status"] == "succeeded"
