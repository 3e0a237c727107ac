"""A broker of three nodes: docs/queue.md, The broker."""

from __future__ import annotations

import pytest

from faults_models import ASYNC
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
    return start_fleet(nodes=3).serve(MODEL, "--queue-replicas", "3")


def test_all_is_stored_three_times_and_read_from_the_leader(fleet):
    """Another node may not have it yet: an input or an end that was just stored would be missing."""
    streams = fleet.broker.streams()
    assert {name: c["num_replicas"] for name, c in streams.items()} == dict.fromkeys(streams, 3)
    assert {"COGGO_Q", "COGGO_P", "COGGO_H", "OBJ_COGGO_F"} <= set(streams)
    assert not [name for name, config in streams.items() if config.get("allow_direct")]


def test_predictions_go_on_without_any_one_of_the_nodes(fleet, tmp_path):
    for n, node in enumerate(fleet.broker.nodes):
        gate = tmp_path / f"gate{n}"
        one, other = fleet.gateways
        answer = one.predict({"gate": str(gate), "s": "x" * 600_000}, ASYNC, id=f"p{n}")
        assert answer.status == 202
        node.kill()
        until("it takes predictions", lambda: other.predict({"s": "y"}).status == 200)
        gate.touch()
        assert other.ended(f"p{n}", 30)["output"] == "x" * 600_000
        node.start()
