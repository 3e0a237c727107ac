"""Readers of a prediction whose worker is lost: docs/queue.md, When things break."""

from __future__ import annotations

import contextlib
import os
import signal

import pytest

from http_events import Stream, chunks
from model_sources import model_source
from queue_harness import with_a_second_worker
from waiting import until

MODEL = model_source("queue/tokens")


@pytest.fixture
def lost(start_fleet, tmp_path):
    """A fleet whose first worker runs a prediction, and what ends it."""
    fleet = start_fleet(MODEL, "--runner-shutdown-grace-period", "1s", workers=1)
    given = {"runs": str(tmp_path / "runs"), "until": str(tmp_path / "end"), "n": 3}
    first = with_a_second_worker(fleet, MODEL, "lost", given)
    return fleet, first, (tmp_path / "end").touch


def open_streams(stack, fleet, prefix=""):
    path = f"{prefix}/predictions/lost/stream"
    return [stack.enter_context(Stream(g.port, "GET", path, timeout=60)) for g in fleet.gateways]


@pytest.mark.timeout(120)
def test_readers_are_told_of_a_new_attempt_and_get_its_events(lost):
    fleet, first, end = lost
    with contextlib.ExitStack() as stack:
        readers = open_streams(stack, fleet)
        before = [[reader.until("output")[-1] for _ in range(3)] for reader in readers]
        assert chunks(before[0]) == ["1.0 ", "1.1 ", "1.2 "]
        first.kill()
        again = [reader.until("start")[-1] for reader in readers]
        assert again[0] == again[1] and int(again[0].id) > int(before[0][-1].id)
        live = [[reader.until("output")[-1] for _ in range(3)] for reader in readers]
        for gateway, events in zip(fleet.gateways, live):
            assert chunks(events) == ["2.0 ", "2.1 ", "2.2 "]
            assert [event.data["index"] for event in events] == [0, 1, 2]
            found = gateway.get("/predictions/lost").json
            assert found["output"] == chunks(events) and "1: item" not in found["logs"]
        with Stream(
            fleet.gateways[1].port,
            "GET",
            "/predictions/lost/stream",
            headers={"Last-Event-ID": before[0][-1].id},
        ) as back:
            assert next(iter(back)) == again[0], "who comes back begins with the new attempt"
            end()
            assert chunks(list(back)) == ["2.0 ", "2.1 ", "2.2 ", "2.last"]
        for reader in readers:
            events = list(reader)
            assert chunks(events) == ["2.last"]
            assert events[-1].data["output"] == ["2.0 ", "2.1 ", "2.2 ", "2.last"]
    for gateway in fleet.gateways:
        with Stream(gateway.port, "GET", "/predictions/lost/stream") as late:
            events = list(late)
        assert events[0] == again[0] and chunks(events)[-1] == "2.last"


@pytest.mark.timeout(120)
def test_a_v1_reader_of_a_lost_attempt_gets_an_error_and_the_end(lost):
    fleet, first, end = lost
    with contextlib.ExitStack() as stack:
        readers = open_streams(stack, fleet, "/v1")
        seen = [[reader.until("output")[-1] for _ in range(3)] for reader in readers]
        assert [event.text for event in seen[0]] == ["1.0 ", "1.1 ", "1.2 "]
        first.kill()
        for reader in readers:
            told = [event for event in reader if event.name != "logs"]
            assert [event.name for event in told] == ["error", "done"]
            assert "started again" in told[0].data["detail"] and told[1].data == {"reason": "error"}
    path = "/v1/predictions/lost/stream"
    with Stream(
        fleet.gateways[1].port, "GET", path, headers={"Last-Event-ID": seen[0][-1].id}
    ) as back:
        assert [event.name for event in back] == ["error", "done"]
    with Stream(fleet.gateways[1].port, "GET", path) as new:
        assert new.until("output")[-1].text == "2.0 "
        end()
        assert [event.text for event in new if event.name == "output"] == ["2.1 ", "2.2 ", "2.last"]


@pytest.mark.timeout(120)
def test_readers_see_a_run_that_was_handed_back_start_again(lost):
    fleet, first, end = lost
    with contextlib.ExitStack() as stack:
        readers = open_streams(stack, fleet)
        for reader in readers:
            assert chunks(reader.until("output")) == ["1.0 "]
        first.process.send_signal(signal.SIGTERM)
        for reader in readers:
            reader.until("start")
            assert reader.until("output")[-1].data == {"chunk": "2.0 ", "index": 0}
        first.process.wait(30)
        end()
        for reader in readers:
            assert reader.until("completed")[-1].data["output"][-1] == "2.last"


@pytest.mark.timeout(120)
def test_what_a_worker_that_hung_still_sends_is_not_shown(lost):
    fleet, first, end = lost
    runner = first.runner()
    with contextlib.ExitStack() as stack:
        readers = open_streams(stack, fleet)
        for reader in readers:
            reader.until("output")
        for pid in (first.process.pid, runner):
            os.kill(pid, signal.SIGSTOP)
        for reader in readers:
            reader.until("start")
            assert reader.until("output")[-1].data["chunk"] == "2.0 "
        for pid in (runner, first.process.pid):
            os.kill(pid, signal.SIGCONT)
        until("it has heard", lambda: "has taken over" in first.log())
        end()
        for reader in readers:
            events = reader.until("completed")
            assert chunks(events) == ["2.1 ", "2.2 ", "2.last"]
            assert events[-1].data["output"] == ["2.0 ", "2.1 ", "2.2 ", "2.last"]
