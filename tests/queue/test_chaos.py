"""A little of ``make chaos-queue``."""

from __future__ import annotations

import pytest

from faults_queue import hold


@pytest.mark.timeout(300)
def test_nothing_is_lost_or_doubled_while_members_are_killed_and_stopped(capsys):
    held = hold(300, nodes=1, seed=1, rate=20, logs="")
    assert held, capsys.readouterr().out
