"""``make bench-queue`` with Coggo alone, at its smallest size."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_the_benchmark_of_queues_counts_what_becomes_of_tasks(tmp_path):
    (tmp_path / "tmp").mkdir()
    bench = tmp_path / "bench"
    find_go = ["sh", "scripts/find-go", ".venv"]
    go = subprocess.run(find_go, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    subprocess.run([go.strip(), "build", "-o", bench, "./bench"], cwd=ROOT, check=True)
    done = subprocess.run(
        [bench, "-queue", "-quick", "-rounds", "1", "-only", "^coggo$", "-out", tmp_path / "out"],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(tmp_path / "tmp")},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out" / "results.json").read_text())["results"]
    counts = {row["workload"]: row["samples"].get("coggo") for row in found}
    assert counts["no-op, one client: p50"] and counts["cancel → it has stopped"], done.stdout
    assert counts["kill -9 of a worker: tasks without an end"] == [0]
    assert counts["kill -9: tasks that failed"] == [0]
    assert counts["kill -9: ends that changed after a client had them"] == [0]
    assert counts["of them, without a kill of the first"] == [0]
    assert counts["runs of a task that takes 13 times as long as the broker waits"] == [1]
    assert not list((tmp_path / "tmp").iterdir()), "it leaves nothing"
