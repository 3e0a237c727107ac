"""A broker that has lost track of messages: the janitor finds them. docs/queue.md, Janitor.

The tests make the state in the real broker: a consumer that has skipped what lies in its stream.
"""

from __future__ import annotations

import contextlib
import json
import re

import pytest

from model_sources import model_source
from nats_client import Nats
from queue_harness import ASYNC, runs, token
from waiting import until

MODEL = model_source("queue/everything")


@pytest.fixture
def nats(request):
    made = []

    def connect(fleet):
        made.append(Nats(fleet.broker.url))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def edit(nats, stream, consumer, filter):
    """Change what a consumer gives out."""
    config = nats.api(f"CONSUMER.INFO.{stream}.{consumer}")["config"]
    nats.api(
        f"CONSUMER.CREATE.{stream}.{consumer}.{filter}",
        stream_name=stream,
        config={**config, "filter_subject": filter},
        action="update",
    )


@contextlib.contextmanager
def skipping(nats, stream, consumer, bait):
    """Let a consumer pass over what comes meanwhile."""
    filter = nats.api(f"CONSUMER.INFO.{stream}.{consumer}")["config"]["filter_subject"]
    edit(nats, stream, consumer, bait)
    yield
    nats.request(bait, b"{}")

    def passed():
        nats.request(
            f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}", b'{"batch":1,"no_wait":true}'
        )
        return nats.api(f"CONSUMER.INFO.{stream}.{consumer}")["delivered"]["stream_seq"]

    last = nats.api(f"STREAM.INFO.{stream}")["state"]["last_seq"]
    until("it has passed", lambda: passed() == last)
    nats.request(f"$JS.API.STREAM.MSG.DELETE.{stream}", json.dumps({"seq": last}).encode())
    edit(nats, stream, consumer, filter)


def forget_the_janitors(nats):
    """Make every key free, as if those who had one were killed long ago."""
    nats.api("STREAM.PURGE.COGGO_W", filter="coggo.w.*.janitor")


def stuck(server):
    found = re.findall(
        r"^coggo_queue_stuck\{.*\} (\d+)$", server.get("/metrics").body.decode(), re.M
    )
    return [int(number) for number in found]


def test_what_the_broker_does_not_give_out_runs_all_the_same(start_fleet, nats, tmp_path):
    """What a worker has goes on, and runs once."""
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    one, client = fleet.gateways[0], nats(fleet)
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    one.predict(given, ASYNC, id="runs")
    runs(one, "runs")
    with skipping(client, "COGGO_Q", token(fleet.name), f"coggo.q.{token(fleet.name)}.0.bait"):
        one.predict(given, ASYNC, id="waits")
        one.predict(given, ASYNC, id="waits-too")
    until("nothing waits", lambda: one.get("/queue").json["waiting"] == 0)
    forget_the_janitors(client)
    janitor = fleet.gateway("--name", fleet.name)
    until("it has seen it", lambda: "recreating its consumer" in janitor.log(), 30)
    assert "count=2" in janitor.log(), janitor.log()
    until("it tells", lambda: stuck(janitor) == [2])
    (tmp_path / "end").touch()
    for id in ("runs", "waits", "waits-too"):
        assert janitor.ended(id)["status"] == "succeeded"
    until("all are gone", lambda: client.api("STREAM.INFO.COGGO_Q")["state"]["messages"] == 0)
    assert len((tmp_path / "runs").read_text().splitlines()) == 3
    assert one.predict({}).status == 200


def lists_of_a_new_janitor(fleet, client):
    """How many lists of the waiting requests a janitor asks for in its first round."""
    watcher = Nats(fleet.broker.url)
    key, last = f"coggo.w.{token(fleet.name)}.janitor", "$JS.API.DIRECT.GET.COGGO_Q"
    watcher.subscribe(key, last, "$JS.API.STREAM.INFO.COGGO_Q")
    forget_the_janitors(client)
    janitor = fleet.gateway("--name", fleet.name)
    heard = [watcher.hear()]
    while heard[-1][0] != last or key not in dict(heard):
        heard.append(watcher.hear())
    watcher.close()
    assert "recreating" not in janitor.log()
    return sum(b"subjects_filter" in body for _, body in heard)


def test_a_queue_is_listed_only_if_its_consumers_do_not_track_all_of_it(
    start_fleet, nats, tmp_path
):
    """A list costs the broker more the longer the queue is; the numbers of its consumers do not."""
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    one, client = fleet.gateways[0], nats(fleet)
    one.predict({})
    one.predict({"until": str(tmp_path / "end")}, ASYNC, id="runs")
    runs(one, "runs")
    one.predict({}, ASYNC, id="waits")
    assert lists_of_a_new_janitor(fleet, client) == 0
    client.request("coggo.q.removed.0.it", b"{}")
    assert lists_of_a_new_janitor(fleet, client) == 1
    (tmp_path / "end").touch()
    assert one.ended("waits")["status"] == "succeeded"


def test_a_consumer_that_somebody_has_removed_is_made_again(start_fleet, nats):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    fleet.gateways[0].predict({})
    client = nats(fleet)
    client.api(f"CONSUMER.DELETE.COGGO_Q.{token(fleet.name)}")
    answer = fleet.gateways[0].predict({}, ASYNC, id="meanwhile")
    assert answer.status == 202, answer.body
    forget_the_janitors(client)
    other = fleet.gateway()
    assert other.ended("meanwhile", 30)["status"] == "succeeded"


def test_webhooks_that_the_broker_does_not_give_out_are_delivered(start_fleet, nats, receiver):
    fleet = start_fleet(MODEL, workers=1, gateways=1)
    one, client = fleet.gateways[0], nats(fleet)
    with skipping(client, "COGGO_H", "hooks", "coggo.h.none.bait"):
        one.predict({}, id="it", webhook=receiver.url, webhook_events_filter=["completed"])
        until("it is owed", lambda: client.api("STREAM.INFO.COGGO_H")["state"]["messages"] == 1)
    forget_the_janitors(client)
    fleet.gateway("--name", fleet.name)
    until("it is delivered", lambda: [got["id"] for got in receiver.got] == ["it"], 30)
