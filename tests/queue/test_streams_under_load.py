"""A little of what ``make chaos-queue`` does with streams."""

from __future__ import annotations

import pytest

from faults_streams import hold


@pytest.mark.timeout(300)
@pytest.mark.parametrize("recover", ["rerun", "fail"])
def test_each_stream_is_whole_or_ends_with_a_reason_while_members_are_killed(recover):
    ledger = hold(30, n=150, pause=0.05, faults=3, recover=recover)
    assert ledger.good() and ledger.killed, str(ledger)
    if recover == "rerun":
        assert set(ledger.verdicts) == {"whole"} and ledger.started_again, str(ledger)
