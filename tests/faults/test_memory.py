"""The memory of a server for the data of others is bounded; ``make soak`` measures the same for
longer and with more data.
"""

from __future__ import annotations

import pathlib
import threading

import pytest

from faults_memory import BODIES, LOADS, MIB, one_body, send
from servers import measures_memory
from waiting import until

PAGE = (pathlib.Path(__file__).resolve().parents[2] / "docs" / "reliability.md").read_text()


@measures_memory
@pytest.mark.parametrize(
    "load", LOADS[1:], ids=lambda load: load.name
)  # the next test measures the first one
def test_the_memory_of_the_server_is_bounded(start, load):
    row = load.run(start, load.small)
    assert row.rss <= load.bound(row.sent), load.line(row)


@measures_memory
@pytest.mark.parametrize("shape", BODIES)
def test_a_body_takes_a_small_multiple_of_its_size(start, shape):
    row = one_body(start, shape, LOADS[0].small)
    assert row.rss <= LOADS[0].bound(row.sent), LOADS[0].line(row)


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.name)
def test_the_docs_state_each_bound(load):
    [line] = [line for line in PAGE.splitlines() if line.startswith(f"| {load.name} |")]
    assert line.endswith(f"| {load.promise} |")


# Checks at once

#: The check of an input of this model takes half a second, because the pattern backtracks.
SLOW = """
from cog import BasePredictor, Input
class Predictor(BasePredictor):
    def predict(self, text: str = Input(default="a", regex="^(a+)+$"), other: str = "") -> str:
        return "done"
"""


def slow_body(mib: int) -> bytes:
    return b'{"input": {"text": "%sb", "other": "%s"}}' % (b"a" * 64, b"x" * (mib * MIB))


@pytest.fixture
def busy(start):
    """Starts a server whose room for checks two clients occupy until the test ends."""
    end = threading.Event()
    clients: list[threading.Thread] = []

    def begin(*flags: str):
        server = start(SLOW, "--max-body", "4MiB", *flags)

        def client() -> None:
            while not end.is_set():
                send(server, slow_body(3))

        clients.extend(threading.Thread(target=client) for _ in range(2))
        for thread in clients:
            thread.start()
        return server

    yield begin
    end.set()
    for thread in clients:
        thread.join()


def test_503_for_a_large_input_while_too_many_are_checked(busy):
    server = busy("--body-timeout", "100ms")

    def refused():
        answer = server.predict({"other": "x" * (3 * MIB)})
        return answer.status == 503 and answer.json["detail"]

    assert "too many large inputs" in until("there is no room", refused)
    assert server.predict({"other": "small"}).status == 200, "a small one needs no room"


def test_a_large_input_waits_until_there_is_room_to_check_it(busy):
    server = busy()
    for _ in range(3):
        answer = server.predict({"other": "x" * (3 * MIB)})
        assert (answer.status, answer.json["output"]) == (200, "done")
