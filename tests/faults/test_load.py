"""Floods and chaos on a small scale; ``make soak``, ``make kills`` and ``make chaos`` are the large
ones.
"""

from __future__ import annotations

import collections
import threading

import pytest

from faults_load import PLAIN, Chaos, owed, soak

SLOW = "import time\nclass Predictor:\n    def predict(self) -> int:\n        time.sleep(0.02)\n        return 1\n"


def test_two_hundred_at_once_for_one_slot_are_served_or_refused_as_busy(start):
    server = start(SLOW)
    statuses: list[int] = []
    gate = threading.Barrier(200)

    def ask():
        gate.wait(20)
        statuses.append(server.predict({}).status)

    threads = [threading.Thread(target=ask) for _ in range(200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = collections.Counter(statuses)
    assert set(found) <= {200, 409} and found[200] >= 1 and sum(found.values()) == 200, found
    assert server.predict({}).status == 200


def test_each_of_many_has_one_terminal_event_though_receivers_fail(start, receiver):
    server = start(PLAIN, "--max-concurrency", "32")
    assert owed(server, receiver, 600) == []


def test_nothing_grows_with_the_number_of_predictions(start):
    server = start(PLAIN, "--max-concurrency", "32", "--retain", "10")
    first, *_, last = soak(server, 2000, 500)
    # A connection that is being closed may be among them.
    assert all(now <= then + 2 for now, then in zip(last.descriptors, first.descriptors)), (
        first,
        last,
    )
    assert last.entries == first.entries
    assert last.rss[1] - first.rss[1] < 4096, "the runner, in KiB"


@pytest.mark.parametrize("flag", [True, False], ids=["with --working-dir", "without"])
def test_chaos_loses_and_duplicates_nothing(start, receiver, tmp_path, flag):
    ledger = Chaos(start, tmp_path, receiver, seed=7, flag=flag).run(seconds=8, requests=10_000)
    assert (ledger.lost, ledger.doubled) == ([], []), ledger
    assert ledger.accepted > 10 and ledger.kills > 1, ledger
