"""Fixtures: the real server, the real runner and a real webhook receiver. Nothing is mocked."""

from __future__ import annotations

import functools
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from http_harness import Receiver, Server
from http_store import Store
from leftovers import no_leftovers
from model_sources import model_source
from queue_harness import Fleet, Front, Gateway
from queue_left_out import LEFT_OUT, ONE_WORKER, listed

ROOT = pathlib.Path(__file__).resolve().parents[1]

# With it Python writes each print at once, and no test could find output that stays in a buffer.
os.environ.pop("PYTHONUNBUFFERED", None)

#: The server under test; another build of it, with the race detector for example, can be named
#: instead.
BINARY = pathlib.Path(os.environ.get("COGGO_SERVER") or ROOT / "bin" / "coggo-server")

#: Whether the tests of HTTP run through a gateway with workers in place of one server.
THROUGH_A_QUEUE = os.environ.get("COGGO_TEST_QUEUE") == "1"

#: For a test with a bound for the memory of the server.
measures_memory = pytest.mark.no_race(
    reason="the race detector takes several times the memory of the server"
)

#: The slowest test files, in this order. scripts/test gives each worker a file at a time, so these
#: begin first: otherwise one of them would still run after all other workers have finished.
LONGEST = (
    "faults/test_clients_http2.py",
    "runner/test_misbehaving.py",
    "faults/test_kernel_troubles.py",
    "faults/test_odd_files.py",
    "queue/test_lost_workers.py",
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


def node_below_tests(node: pytest.Item | pytest.Collector) -> str:
    return node.nodeid.removeprefix("tests/")


@functools.cache
def real_python() -> str:
    """Return an interpreter that has no packages.

    Those of this machine may import themselves at every start by their .pth files, and a shim
    before the interpreter starts a shell: each takes longer than the whole startup of a runner.
    """
    made = ROOT / "bin" / "python-{}.{}.{}".format(*sys.version_info)
    if not made.exists():
        made.parent.mkdir(exist_ok=True)
        half = tempfile.mkdtemp(dir=made.parent, prefix=".python-")
        venv.create(half, symlinks=True)
        os.chmod(half, 0o755)  # for tests whose server runs as another user
        try:
            os.rename(half, made)
        except OSError:  # another worker was faster
            shutil.rmtree(half)
    return str(made / "bin" / "python3")


def start_error(*words: object, code: int = 1, env: Mapping[str, str] | None = None) -> str:
    """Run a server that must not start, check its exit code, and return its error."""
    flags = ["--host", "127.0.0.1", "--port", "0", "--predict", "predict.py:Predictor"]
    done = subprocess.run(
        [BINARY, *flags, *map(str, words)], env=env, capture_output=True, text=True, timeout=30
    )
    assert done.returncode == code, (done.returncode, done.stderr)
    return done.stderr


class Starter:
    """Starts servers and stops them at the end. They must leave nothing behind.

    With workers a server is a gateway with a broker and so many workers.
    """

    def __init__(self, directories: pytest.TempPathFactory, workers: int = 0) -> None:
        self._directories = directories
        self._workers = workers
        self._servers: list[Server] = []

    def __call__(self, source: str = "", *flags: str, ready: bool = True, **options: Any) -> Server:
        """Start a server for the source of a model, or for a directory given as ``model_dir``."""
        directory = options.pop("model_dir", None) or self._directories.mktemp("model")
        if source:
            (directory / "predict.py").write_text(source)
        python = options.pop("python", None) or real_python()
        if self._workers:
            return self._start_front(directory, python, flags, ready, **options)
        server = Server(BINARY, directory, python, flags, **options)
        self._servers.append(server)
        server.wait_listening()
        if ready:
            server.wait_status("READY")
        return server

    def _start_front(
        self,
        directory: pathlib.Path,
        python: str,
        flags: Sequence[str],
        ready: bool,
        **options: Any,
    ) -> Server:
        gateway = self._directories.mktemp("gateway")
        front = Front(BINARY, python, directory, gateway, flags, self._workers, **options)
        self._servers.append(front)
        front.wait_listening(ready)
        return front

    def close(self) -> None:
        for server in self._servers:
            server.close()


class FleetStarter:
    """Starts fleets, each with a broker of its own, and stops all of them at the end."""

    def __init__(self, directories: pytest.TempPathFactory) -> None:
        self._directories = directories
        self._fleets: list[Fleet] = []

    def __call__(self, source: str = "", *flags: str, **options: Any) -> Fleet:
        """Start a fleet: with a source, two workers and two gateways; else a broker alone."""
        given = {} if source else options  # else they are those of the broker
        fleet = Fleet(BINARY, real_python(), self._directories.mktemp, **given)
        self._fleets.append(fleet)
        return fleet.serve(source, *flags, **options) if source else fleet

    def close(self) -> None:
        for fleet in self._fleets:
            fleet.close()


@pytest.fixture(scope="module", autouse=True)
def leave_nothing(request: pytest.FixtureRequest) -> Iterator[None]:
    """Check after the tests of faults that no process, thread or port is left."""
    if request.path.parent.name != "faults":
        yield
        return
    with no_leftovers():
        yield


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
