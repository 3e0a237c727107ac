"""Streams at gateways: docs/queue.md, What clients see."""

from __future__ import annotations

import contextlib

import pytest

from http_events import Stream, chunks
from queue_harness import ASYNC, runs

MODEL = """
import os, time
from typing import Iterator
class Predictor:
    def predict(self, until: str = "", n: int = 2) -> Iterator[str]:
        for i in range(n):
            print("item", i, flush=True)
            yield str(i)
        while until and not os.path.exists(until):
            time.sleep(0.01)
        yield "last"
"""


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    return start_fleet_once(MODEL, workers=1)


def test_a_stream_that_begins_before_the_prediction_runs_has_every_event(fleet, tmp_path):
    one, other = fleet.gateways
    one.predict({"until": str(tmp_path / "free")}, ASYNC, id="before")
    runs(one, "before")
    one.predict({"until": str(tmp_path / "end")}, ASYNC, id="waits")
    with Stream(other.port, "GET", "/predictions/waits/stream") as stream:
        (tmp_path / "free").touch()
        stream.until("output")
        assert other.get("/predictions/waits").json["status"] == "processing"
        (tmp_path / "end").touch()
        assert stream.until("completed")
    assert other.ended("waits")["output"] == ["0", "1", "last"]


def test_readers_at_every_process_see_what_runs(fleet, tmp_path):
    one = fleet.gateways[0]
    one.predict({"until": str(tmp_path / "end")}, ASYNC, id="read")
    runs(one, "read")
    with contextlib.ExitStack() as stack:
        readers = [
            stack.enter_context(Stream(process.port, "GET", "/predictions/read/stream"))
            for process in [*fleet.gateways, *fleet.workers]
        ]
        for reader in readers:
            assert reader.until("output")
        (tmp_path / "end").touch()
        for reader in readers:
            events = list(reader)
            assert chunks(events)[-1] == "last" and events[-1].name == "completed"
            assert events[-1].data == one.get("/predictions/read").json
