"""Events of predictions that have ended or that run, at any gateway: docs/queue.md."""

from __future__ import annotations

import itertools

import pytest

from http_events import Stream, chunks
from model_sources import model_source
from queue_harness import ASYNC, runs
from waiting import until

MODEL = model_source("queue/tokens")

#: More items, each with a metric, than one server keeps events: 65,536.
MANY = 33_000


@pytest.fixture(scope="module")
def fleet(start_fleet_once):
    return start_fleet_once(MODEL, workers=1)


@pytest.fixture(scope="module")
def alone(start_once):
    """One server, without a queue."""
    return start_once(MODEL)


def read(server, id, last=None, prefix=""):
    headers = {} if last is None else {"Last-Event-ID": str(last)}
    path = f"{prefix}/predictions/{id}/stream"
    with Stream(server.port, "GET", path, headers=headers) as stream:
        return stream.status, list(stream), stream.comments


def shape(events):
    """What two runs of the same input have in common: they write logs in other pieces."""
    assert [int(e.id) for e in events] == list(range(1, len(events) + 1))
    logs = "".join(e.data["data"] for e in events if e.name == "log")
    return [(e.name, e.text) for e in events if e.name in ("output", "metric")], logs


@pytest.mark.parametrize("size", [0, 100_000, 700_000], ids=["small", "large", "large items"])
def test_every_gateway_replays_the_same_events_as_one_server(fleet, alone, size):
    id, given = f"replay-{size}", {"n": 8, "size": size}
    with Stream(fleet.gateways[0].port, "POST", "/predictions", {"id": id, "input": given}) as live:
        seen = list(live)
    assert chunks(seen) == fleet.gateways[0].get(f"/predictions/{id}").json["output"]
    for process in [*fleet.gateways, *fleet.workers]:
        assert read(process, id)[1] == seen
        assert read(process, id, seen[4].id)[1] == seen[5:]
        assert read(process, id, seen[-1].id)[0] == 204
    alone.predict(given, id=id)
    other = read(alone, id)[1]
    assert shape(other) == shape(seen)


def test_a_v1_stream_of_an_ended_prediction_has_its_items(fleet):
    one, other = fleet.gateways
    one.predict({"n": 2}, id="v1")
    status, events, comments = read(other, "v1", prefix="/v1")
    assert (status, comments) == (200, [])
    texts = [event.text for event in events if event.name == "output"]
    assert texts == ["0.0 ", "0.1 ", "0.last"] and events[-1].name == "done"
    last = [event.id for event in events if event.name == "output"][-1]
    rest = read(other, "v1", last, prefix="/v1")[1]
    assert [e.name for e in rest if e.name != "logs"] == ["done"], "the output does not come twice"


def beginning(server, id, prefix=""):
    """The first two events for a reader that has seen the first one of all, and the comments."""
    path = f"{prefix}/predictions/{id}/stream"
    with Stream(server.port, "GET", path, headers={"Last-Event-ID": "1"}) as stream:
        return list(itertools.islice(stream, 2)), stream.comments


@pytest.mark.timeout(180)
def test_more_events_than_are_kept_are_told_as_missing(fleet, alone):
    """The history of one server is bounded too, and has the same place to begin."""
    for server in (fleet.gateways[0], alone):
        assert server.predict({"n": MANY}, id="long").status == 200
    ours, theirs = (beginning(server, "long") for server in (fleet.gateways[1], alone))
    assert ours[0][0].text == theirs[0][0].text and "dropped" in ours[0][0].text
    assert ours[0][0].data["skipped"] == int(ours[0][1].id) - 2
    ours, theirs = (beginning(server, "long", "/v1") for server in (fleet.gateways[1], alone))
    assert ours[1] == theirs[1] and "events were dropped" in ours[1][0]
    late, kept = read(fleet.gateways[1], "long")[1], read(alone, "long")[1]
    assert [e.name for e in (late[0], kept[0])] == ["error"] * 2
    assert late[0].data["skipped"] == int(late[1].id) - 1 and len(late) == len(kept) == 1025
    assert late[-1].data["output"] == kept[-1].data["output"]


def test_an_item_above_the_size_of_a_message_comes_live(fleet, tmp_path):
    one, other = fleet.gateways
    given = {"n": 2, "size": 2 << 20, "until": str(tmp_path / "end")}
    one.predict(given, ASYNC, id="heavy")
    runs(one, "heavy")
    with Stream(other.port, "GET", "/predictions/heavy/stream") as stream:
        live = [stream.until("output")[-1].data["chunk"] for _ in range(2)]
        assert [len(chunk) for chunk in live] == [len("0.0 ") + (2 << 20)] * 2
        until("it is in the answer", lambda: one.get("/predictions/heavy").json["output"] == live)
        (tmp_path / "end").touch()
        assert stream.until("completed")[-1].data["output"] == [*live, "0.last"]


@pytest.mark.timeout(180)
def test_who_comes_after_events_were_dropped_gets_the_whole_output_so_far(fleet, tmp_path):
    one, other = fleet.gateways
    one.predict({"n": MANY, "until": str(tmp_path / "end")}, ASYNC, id="late")
    until(
        "it has yielded", lambda: len(one.get("/predictions/late").json["output"] or ()) == MANY, 60
    )
    with Stream(other.port, "GET", "/predictions/late/stream") as stream:
        assert stream.until("error")[-1].data["skipped"] > 0
        whole = one.get("/predictions/late").json
        until("it has caught up", lambda: other.get("/predictions/late").json == whole)
        (tmp_path / "end").touch()
        assert stream.until("completed")[-1].data["output"][-1] == "0.last"
