"""The end of a short run takes the place of its claim: docs/protocol.md, The queue."""

from __future__ import annotations

import pytest

from model_sources import model_source
from nats_client import Nats
from queue_harness import ASYNC
from waiting import until

MODEL = model_source("queue/everything")


def states(broker):
    """How many states the broker has ever stored."""
    return broker.api("STREAM.INFO.COGGO_P")["state"]["last_seq"]


def states_of(broker, predict):
    before = states(broker)
    predict()
    return states(broker) - before


def no_claim(broker, gateway):
    """A run has stored its end alone."""
    return states_of(broker, lambda: gateway.predict({})) == 1


def test_a_short_run_after_a_short_one_stores_its_end_alone(start_fleet, receiver):
    fleet = start_fleet(MODEL, workers=1)
    broker, gateway = Nats(fleet.broker.url), fleet.gateways[0]
    assert states_of(broker, lambda: gateway.predict({})) == 2  # the first run of a worker
    until("a run has no claim", lambda: no_claim(broker, gateway))
    # Its receiver is told that the run has begun.
    assert states_of(broker, lambda: gateway.predict({}, webhook=receiver.url)) == 2
    broker.close()


@pytest.mark.parametrize("flags", [("--recover", "fail"), ("--max-attempts", "1")])
def test_what_must_not_run_again_is_claimed_at_once(start_fleet, flags):
    fleet = start_fleet(MODEL, *flags, workers=1)
    broker, gateway = Nats(fleet.broker.url), fleet.gateways[0]
    assert [states_of(broker, lambda: gateway.predict({})) for _ in range(10)] == [2] * 10
    broker.close()


@pytest.mark.timeout(120)
def test_who_kills_its_worker_before_it_has_claimed_has_no_more_attempts(start_fleet, tmp_path):
    flags = ["--max-attempts", "2"]
    fleet = start_fleet(MODEL, *flags, workers=1)
    broker, gateway = Nats(fleet.broker.url), fleet.gateways[0]
    until("a run has no claim", lambda: no_claim(broker, gateway))
    broker.close()
    given = {"fail": "server", "runs": str(tmp_path / "runs")}
    gateway.predict(given, ASYNC, id="poison")
    until("it is dead", lambda: fleet.workers[0].process.poll() is not None, 60)
    second = fleet.worker(MODEL, *flags, name=fleet.name, ready=False)
    until("it is dead too", lambda: second.process.poll() is not None, 60)
    fleet.worker(MODEL, *flags, name=fleet.name)
    found = fleet.gateways[1].ended("poison", 60)
    assert found["error"] == "the worker was lost 2 times while this ran"
    assert len((tmp_path / "runs").read_text().split()) == 2
