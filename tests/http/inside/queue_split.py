"""A split between a worker and the broker, in a network of its own: no packet arrives, and nobody
is told. Run by tests/queue/test_split.py.
"""

from __future__ import annotations

from model_sources import model_source
from namespaces import loopback, plug, unplug
from queue_harness import ASYNC, counter, runs
from waiting import until

MODEL = model_source("queue/everything")
ADDRESS, NAME = "10.9.0.1", "test/split"


def test_a_worker_behind_a_split_ends_nothing(start_fleet, receiver, tmp_path):
    loopback(ADDRESS)
    fleet = start_fleet(flags=["-a", "0.0.0.0"])
    port = fleet.broker.url.rpartition(":")[2]
    local, far = (["--queue", f"nats://{host}:{port}"] for host in ("127.0.0.1", ADDRESS))
    cut_off = fleet.worker(MODEL, name=NAME, address=far)
    gateway = fleet.gateway("--name", NAME, address=local)
    given = {"until": str(tmp_path / "end"), "runs": str(tmp_path / "runs")}
    hook = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    assert gateway.predict(given, ASYNC, id="it", **hook).status == 202
    runs(gateway, "it")
    fleet.worker(MODEL, name=NAME, address=local)

    unplug(0)
    ran = tmp_path / "runs"
    until("another worker runs it", lambda: len(ran.read_text().splitlines()) == 2, 25)
    (tmp_path / "end").touch()
    assert gateway.ended("it")["status"] == "succeeded"
    until("the receiver is told", lambda: receiver.got)
    plug(0, ADDRESS)

    until(
        "its end is refused",
        lambda: counter(cut_off, "coggo_queue_fenced_total") == 1 or "taken over" in cut_off.log(),
        25,
    )
    assert gateway.get("/predictions/it").json == receiver.got[0]
    fleet.wait_workers(2)
    assert gateway.predict({}).status == 200
    assert len(receiver.got) == 1 and len(ran.read_text().splitlines()) == 2
