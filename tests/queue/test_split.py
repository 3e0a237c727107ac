"""A split of the network: docs/queue.md, When things break."""

from __future__ import annotations

import pytest

from namespaces import run_inside


@pytest.mark.timeout(90)
def test_a_worker_behind_a_split_of_the_network_ends_nothing():
    run_inside("queue_split.py")
