"""``make bench-queue`` and ``make bench-curves`` with Coggo alone, at their smallest size."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Build the benchmark; return what runs it and reads its results."""
    program = tmp_path_factory.mktemp("bench") / "bench"
    find_go = ["sh", "scripts/find-go", ".venv"]
    go = subprocess.run(find_go, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    subprocess.run([go.strip(), "build", "-o", program, "./bench"], cwd=ROOT, check=True)

    def run(tmp_path, *flags):
        with tempfile.TemporaryDirectory() as short:  # mosec has a socket in it
            done = subprocess.run(
                [program, *flags, "-quick", "-rounds", "1", "-out", tmp_path],
                cwd=ROOT, env={**os.environ, "TMPDIR": short},
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout + done.stderr
            assert not os.listdir(short), "it leaves nothing"
        return json.loads((tmp_path / "results.json").read_text())

    return run


@pytest.mark.timeout(300)
def test_the_benchmark_of_queues_counts_what_becomes_of_tasks(bench, tmp_path):
    found = bench(tmp_path, "-queue", "-only", "^coggo$")["results"]
    counts = {row["workload"]: row["samples"].get("coggo") for row in found}
    assert counts["no-ops without an end, in all rounds"] == [0]
    assert counts["no-op, one client: p50"] and counts["cancel → it has stopped"]
    assert counts["kill -9 of a worker: tasks without an end"] == [0]
    assert counts["kill -9: tasks that failed"] == [0]
    assert counts["kill -9: ends that changed after a client had them"] == [0]
    assert counts["kill -9: runs beyond the first"] in ([0], [1])
    assert counts["runs of a task that takes 13 times as long as the broker waits"] == [1]


@pytest.mark.timeout(300)
def test_the_benchmark_of_curves_has_each_line_for_one_server_and_for_a_queue(bench, tmp_path):
    found = {curve["curve"]: curve["lines"] for curve in bench(tmp_path, "-curves")}
    assert set(found) == {"Running at once", "Open streams", "Waiting", "Retained"}
    for name, lines in found.items():
        for site in "one server: ", "queue: ":
            own = [line for line in lines if line["name"].startswith(site)]
            assert len(own) >= 2 and all(line["samples"] for line in own), (name, lines)
    assert (tmp_path / "streams.svg").exists()


def test_the_client_counts_a_task_without_an_end_and_goes_on(tmp_path):
    (tmp_path / "losing.py").write_text(
        "class Client:\n"
        "    def submit(self, name, seconds):\n"
        "        return name\n"
        "    def wait(self, name, seconds):\n"
        "        if name == 'n1':\n"
        "            raise TimeoutError\n"
        "        if name == 'n2':\n"
        "            raise ValueError('no') from KeyError('why')\n"
        "        return 'hello ' + name\n"
    )
    commands = [
        {"do": "run", "n": 4, "in_flight": 2, "limit": 5},
        {"do": "pile", "n": 4, "limit": 5},
        {"do": "begin", "names": ["n0", "n1", "n2"], "seconds": 0},
        {"do": "ends", "names": ["n0", "n1", "n2"], "limit": 1},
    ]
    done = subprocess.run(
        [sys.executable, ROOT / "bench/queue/driver.py", "losing"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True,
        input="".join(json.dumps(command) + "\n" for command in commands),
    )  # fmt: skip
    _, run, pile, _, ends = map(json.loads, done.stdout.splitlines())
    assert (run["unended"], run["wrong"]) == (pile["unended"], pile["wrong"]) == (1, 1)
    failed = "error: ValueError: no, because of KeyError: 'why'"
    assert ends["ends"] == {"n0": "hello n0", "n1": "", "n2": failed}
