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


def test_a_server_without_the_flag_joins(fleet):
    """The flag is about streams that are missing; a consumer is like its stream."""
    worker = fleet.worker(MODEL, name="test/joins")
    assert fleet.gateway("--name", "test/joins").predict({"s": "a"}).json["output"] == "a"
    assert "connected to the queue" in worker.log()


@pytest.mark.timeout(120)
def test_servers_that_start_together_make_one_queue(start_fleet):
    """Some find what another one is making at that moment, with another number of replicas."""
    fleet = start_fleet(nodes=3)
    for n in range(6):
        flags = ["--queue-replicas", "3"] if n % 2 else []
        fleet.gateway(*flags, "--name", "test/together", ready=False, listens=False)
    for gateway in fleet.gateways:
        until("it is connected", lambda g=gateway: "connected to the queue" in g.log(), 60)


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


@pytest.mark.timeout(180)
def test_without_a_majority_of_the_nodes_nothing_is_ready(fleet):
    one, other = fleet.gateways
    assert one.predict({"s": "before"}).status == 200
    for node in fleet.broker.nodes[1:]:
        node.kill()
    for process in [one, other]:
        until("it is not ready", lambda p=process: p.get("/readyz").status == 503, 60)
        assert "\ncoggo_queue_connected 0" in process.get("/metrics").body.decode()
        assert process.health()["status"] == "UNHEALTHY"
        assert process.predict({}).status == 503
    for node in fleet.broker.nodes[1:]:
        node.start()
    for process in [one, other]:
        until("it is ready", lambda p=process: p.get("/readyz").status == 200, 60)
    # Each stream and each consumer has a leader of its own, and some get theirs later.
    until("it takes predictions", lambda: other.predict({}, ASYNC, id="after").status == 202, 60)
    assert other.ended("after", 60)["status"] == "succeeded"
