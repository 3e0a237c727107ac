"""`make fuzz` fails on a finding, and succeeds when the time is over. A script in place of Go
prints the output of Go.
"""

from __future__ import annotations

import os
import subprocess

import pytest
from packages import ROOT

LATE = "fuzz: elapsed: 30s, execs: 1 (0/sec)\\n--- FAIL: FuzzIt (30.03s)\\n    context deadline exceeded\\nFAIL\\n"
FOUND = "--- FAIL: FuzzIt (1.03s)\\n    --- FAIL: FuzzIt (0.00s)\\n        it_test.go:12: wrong\\n    Failing input written to testdata/fuzz/FuzzIt/1\\n"


@pytest.mark.parametrize(
    ("says", "exits", "status"),
    [
        ("ok\\n", 0, 0),
        (LATE, 1, 0),
        (FOUND, 1, 1),
        (FOUND + LATE, 1, 1),
        ("it_test.go:3:1: syntax error\\nFAIL [build failed]\\n", 2, 1),
        ("", 1, 1),
    ],
)
def test_a_finding_fails_and_the_end_of_the_time_does_not(tmp_path, says, exits, status):
    go = tmp_path / "go"
    go.write_text(f"#!/bin/sh\nprintf '{says}'\nexit {exits}\n")
    go.chmod(0o755)
    env = {**os.environ, "GO": str(go), "VENV": "/nowhere", "FUZZ_TIME": "0"}
    done = subprocess.run(
        ["sh", "scripts/fuzz"], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == status, done.stdout + done.stderr
    assert done.stdout.count("== internal/") > 5
    assert ("no finding" in done.stdout) == (says == LATE)
