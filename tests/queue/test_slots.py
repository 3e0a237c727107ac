"""--max-concurrency, --runners and @cog.batch keep their meaning with a queue: docs/queue.md."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from model_sources import model_source
from queue_harness import ASYNC, runs
from waiting import until

CONCURRENT = """
import asyncio, os
class Predictor:
    async def predict(self, until: str = "") -> str:
        while until and not os.path.exists(until):
            await asyncio.sleep(0.01)
        return "done"
"""
BATCH = """
import cog, time
class Predictor:
    @cog.batch(max_size=8, max_wait_ms=500)
    def predict(self, n: list[int]) -> list[int]:
        return [len(n)] * len(n)
"""


def all_run_at_once(fleet, count, tmp_path):
    """Start so many predictions at one gateway, wait until another sees all of them running, and
    let them end.
    """
    one, other = fleet.gateways
    ids = [f"p{n}" for n in range(count + 1)]
    for id in ids:
        assert one.predict({"until": str(tmp_path / "end")}, ASYNC, id=id).status == 202
    for id in ids[:-1]:
        runs(other, id)
    assert other.get(f"/predictions/{ids[-1]}").json["status"] == "starting"
    (tmp_path / "end").touch()
    for id in ids:
        assert other.ended(id)["status"] == "succeeded"


def test_a_worker_takes_as_many_as_its_model_runs_at_once(start_fleet, tmp_path):
    fleet = start_fleet(CONCURRENT, "--max-concurrency", "3")
    assert fleet.gateways[0].health()["queue"]["slots"] == 6
    all_run_at_once(fleet, 6, tmp_path)


def test_a_worker_takes_one_for_each_of_its_runners(start_fleet, tmp_path):
    fleet = start_fleet(model_source("queue/everything"), "--runners", "2")
    until("all are set up", lambda: fleet.gateways[0].health()["queue"]["slots"] == 4)
    all_run_at_once(fleet, 4, tmp_path)


def test_predictions_of_one_worker_become_a_batch(start_fleet):
    count, fleet = 8, start_fleet(BATCH, workers=1)
    with ThreadPoolExecutor(count) as threads:
        answers = list(
            threads.map(lambda n: fleet.gateways[n % 2].predict({"n": n}).json, range(count))
        )
    assert sum(answer["output"] for answer in answers) > count, "each was a batch of its own"
