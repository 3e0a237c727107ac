"""Fixtures: the real server, the real runner and a real webhook receiver. Nothing is mocked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from http_harness import Receiver
from http_store import Store
from leftovers import no_leftovers
from model_sources import model_source
from queue_harness import Fleet, Gateway
from queue_left_out import LEFT_OUT, ONE_WORKER, listed
from servers import ROOT, THROUGH_A_QUEUE, FleetStarter, Starter

#: The slowest test files, in this order. scripts/test gives each worker a file at a time, so these
#: begin first: otherwise one of them would still run after all other workers have finished.
LONGEST = (
    "faults/test_clients_http2.py",
    "runner/test_misbehaving.py",
    "faults/test_kernel_troubles.py",
    "faults/test_odd_files.py",
    "queue/test_failures.py",
    "http/test_slow_clients.py",
    "runner/test_health.py",
    "http/test_large_output_files.py",
    "http/test_output_files.py",
    "runner/test_boot.py",
    "faults/test_models_that_do_not_stop.py",
    "runner/test_large.py",
    "http/test_webhooks.py",
    "faults/test_recovery_byte_for_byte.py",
    "http/test_reload.py",
    "http/test_sequence.py",
    "faults/test_load.py",
    "faults/test_models_survive.py",
    "http/test_health.py",
    "faults/test_disk.py",
    "http/test_shutdown.py",
    "runner/test_cancel.py",
    "sdk/test_schemas.py",
)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; the order within a file stays. Through a queue some tests are
    left out. A test that the race detector does not see says why.
    """
    if THROUGH_A_QUEUE:
        items[:] = [item for item in items if not listed(LEFT_OUT, node_below_tests(item))]
    for item in items:
        for mark in item.iter_markers("no_race"):
            if not mark.kwargs.get("reason"):
                raise pytest.UsageError(f"{item.nodeid}: no_race needs a reason")
    order = {ROOT / "tests" / name: n for n, name in enumerate(LONGEST)}
    items.sort(key=lambda item: order.get(item.path, len(order)))


@pytest.fixture(scope="module", autouse=True)
def leave_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check after the tests of faults that no process, thread or port is left."""
    if request.path.parent.name != "faults":
        yield
        return
    with no_leftovers():
        yield


def node_below_tests(node: pytest.Item | pytest.Collector) -> str:
    return node.nodeid.removeprefix("tests/")


def starter(request: pytest.FixtureRequest, directories: pytest.TempPathFactory) -> Starter:
    if not THROUGH_A_QUEUE:
        return Starter(directories)
    workers = 1 if listed(ONE_WORKER, node_below_tests(request.node)) else 2
    return Starter(directories, workers)


@pytest.fixture
def start(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Starter]:
    """Start servers for one test.

    Receivers and stores close after the servers, because a server that ends waits 10 s for a
    receiver that does not answer.
    """
    for peer in ("receiver", "store"):
        if peer in request.fixturenames:
            request.getfixturevalue(peer)
    made = starter(request, tmp_path_factory)
    yield made
    made.close()


@pytest.fixture(scope="module")
def start_once(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Starter]:
    """Start servers whose state does not matter, so that the tests of a module can share them."""
    made = starter(request, tmp_path_factory)
    yield made
    made.close()


@pytest.fixture
def start_fleet(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FleetStarter]:
    """Start brokers, workers and gateways for one test."""
    if "receiver" in request.fixturenames:
        request.getfixturevalue("receiver")
    made = FleetStarter(tmp_path_factory)
    yield made
    made.close()


@pytest.fixture(scope="module")
def start_fleet_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetStarter]:
    """Start a fleet that the tests of a module share, where its state does not matter."""
    made = FleetStarter(tmp_path_factory)
    yield made
    made.close()


@pytest.fixture(scope="module")
def fleet(start_fleet_once: FleetStarter) -> Fleet:
    """What most tests of a queue need: two gateways and two workers of one model."""
    return start_fleet_once(model_source("queue/everything"))


@pytest.fixture
def one(fleet: Fleet) -> Gateway:
    return fleet.gateways[0]


@pytest.fixture
def other(fleet: Fleet) -> Gateway:
    return fleet.gateways[1]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver that keeps what it received."""
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def store() -> Iterator[Store]:
    """A server of files that also takes uploads."""
    made = Store()
    yield made
    made.close()
