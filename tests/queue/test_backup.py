"""The broker's directory is all there is of a queue: docs/queue.md, Backup."""

from __future__ import annotations

import shutil

from model_sources import model_source
from queue_harness import ASYNC

MODEL = model_source("queue/everything")


def test_a_copy_of_the_brokers_directory_is_a_backup(start_fleet, receiver):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    gateway = fleet.gateways[0]
    ended = gateway.predict({"name": "a"}, id="ended").json
    large = gateway.predict({"bytes_out": 1_000_000}, id="large").json
    fleet.workers[0].close()
    fleet.wait_workers(0)
    hook = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    assert gateway.predict({"name": "b"}, ASYNC, id="waits", **hook).status == 202
    fleet.broker.stop()

    other = start_fleet()
    other.broker.stop()
    shutil.rmtree(other.broker.directory / "store")
    shutil.copytree(fleet.broker.directory / "store", other.broker.directory / "store")
    other.broker.start()
    restored = other.gateway("--name", fleet.name)
    assert restored.get("/predictions/ended").json == ended
    assert restored.get("/predictions/large").json == large
    assert restored.get("/queue").json["waiting"] == 1
    other.worker(MODEL, name=fleet.name)
    assert restored.ended("waits")["output"] == "hello b"
    receiver.wait(1)
    assert [got["id"] for got in receiver.got] == ["waits"]
