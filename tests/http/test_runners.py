"""Several runner processes under one server."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from http_harness import Server
from servers import start_error
from waiting import alive, until

MODEL = """
import os, time
class Predictor:
    def predict(self, s: float = 0) -> list:
        time.sleep(s)
        return [os.environ["COGGO_RUNNER_INDEX"], str(os.getpid())]
"""

DEVICES = """
import os
class Predictor:
    async def predict(self, s: float = 0) -> str:
        if s:
            import asyncio
            await asyncio.sleep(s)
        return os.environ["COGGO_RUNNER_INDEX"] + ":" + os.environ.get("CUDA_VISIBLE_DEVICES", "all")
"""


def begin(server: Server, id: str, s: float) -> None:
    assert server.predict({"s": s}, {"Prefer": "respond-async"}, id=id).status == 202


def all_ready(server: Server, slots: int) -> None:
    until("all are ready", lambda: server.health()["concurrency"]["max"] == slots)


def test_a_synchronous_model_runs_as_often_as_there_are_runners(start):
    server = start(MODEL, "--runners", "3")
    until("all are ready", lambda: server.health()["concurrency"]["max"] == 3)
    for n in range(3):
        assert server.predict({"s": 0.5}, {"Prefer": "respond-async"}, id=f"p{n}").status == 202
    assert server.health()["status"] == "BUSY"
    assert server.predict({}).status == 409
    answers = [server.ended(f"p{n}")["output"] for n in range(3)]
    assert sorted(index for index, _ in answers) == ["0", "1", "2"]
    assert len({pid for _, pid in answers}) == 3


def test_only_the_runner_that_dies_is_replaced(start):
    server = start(MODEL, "--runners", "2")
    until("both are ready", lambda: server.health()["concurrency"]["max"] == 2)
    server.predict({"s": 60}, {"Prefer": "respond-async"}, id="stays")
    _, victim = server.predict({}).json["output"]
    os.kill(int(victim), signal.SIGKILL)
    until("the death was noticed", lambda: "runner ended" in server.log())
    until("there are two again", lambda: server.health()["concurrency"] == {"max": 2, "current": 1})
    _, other = server.predict({}).json["output"]
    assert other != victim
    assert server.get("/predictions/stays").json["status"] == "processing"
    server.ask("POST", "/predictions/stays/cancel")
    assert server.ended("stays")["status"] == "canceled"


def test_one_of_three_is_killed_while_all_work(start: Any) -> None:
    server = start(MODEL, "--runners", "3")
    all_ready(server, 3)
    for n in range(3):
        begin(server, f"p{n}", 3)
    before = [runner["pid"] for runner in server.health()["runners"]]
    until("all run", lambda: server.health()["concurrency"]["current"] == 3)
    os.kill(before[1], signal.SIGKILL)
    ended = [server.ended(f"p{n}") for n in range(3)]
    assert sorted(e["status"] for e in ended) == ["failed", "succeeded", "succeeded"]
    assert "signal 9" in next(e["error"] for e in ended if e["status"] == "failed")
    assert {int(e["output"][1]) for e in ended if e["output"]} == {before[0], before[2]}
    all_ready(server, 3)
    after = [runner["pid"] for runner in server.health()["runners"]]
    assert (after[0], after[2]) == (before[0], before[2])
    assert after[1] != before[1] and alive(after[1])


def test_health_shows_each_runner(start: Any) -> None:
    server = start(
        DEVICES, "--runners", "2", "--max-concurrency", "4", env={"CUDA_VISIBLE_DEVICES": "0,1,2"}
    )
    all_ready(server, 8)
    for n in range(4):
        begin(server, f"p{n}", 60)
    health = server.health()
    assert health["concurrency"] == {"max": 8, "current": 4}
    assert [r["concurrency"] for r in health["runners"]] == [{"max": 4, "current": 2}] * 2, (
        "the least loaded is next"
    )
    assert [(r["status"], r["devices"]) for r in health["runners"]] == [
        ("READY", "0"),
        ("READY", "1,2"),
    ]
    assert len({r["pid"] for r in health["runners"]}) == 2
    for n in range(4, 8):
        begin(server, f"p{n}", 60)
    assert {r["status"] for r in server.health()["runners"]} == {"BUSY"}
    assert server.predict({}).status == 409
    for n in range(8):
        server.ask("POST", f"/predictions/p{n}/cancel")
        assert server.ended(f"p{n}")["status"] == "canceled"


@pytest.mark.parametrize(
    ("flags", "visible", "want"),
    [
        (["--runners", "2"], "0,1,2,3", {"0:0,1", "1:2,3"}),
        (["--runners", "3"], "GPU-a,GPU-b", {"0:GPU-a", "1:GPU-b", "2:GPU-a"}),
        (["--runners", "2"], "-1", {"0:-1", "1:-1"}),
        (["--runners", "2", "--runner-devices", "3;1,2"], "0,1,2,3", {"0:3", "1:1,2"}),
        (["--runner-devices", "1,2"], "0,1,2,3", {"0:1,2"}),
        ([], "0,1,2,3", {"0:0,1,2,3"}),
    ],
    ids=["blocks", "shared", "off", "chosen", "chosen for one", "one"],
)
def test_devices_are_divided_among_the_runners(
    start: Any, flags: list[str], visible: str, want: set[str]
) -> None:
    server = start(DEVICES, *flags, env={"CUDA_VISIBLE_DEVICES": visible})
    all_ready(server, len(want))
    for n in range(len(want)):
        begin(server, f"p{n}", 0.3)
    assert {server.ended(f"p{n}")["output"] for n in range(len(want))} == want


def test_devices_for_another_number_of_runners_are_refused(tmp_path: Any) -> None:
    (tmp_path / "predict.py").write_text(DEVICES)
    flags = ["--runners", "3", "--runner-devices", "0;1", "--python", sys.executable]
    assert "2 runners and --runners is 3" in start_error(*flags, tmp_path, code=2)


def test_runners_whose_setup_succeeds_serve(start: Any) -> None:
    broken = (
        DEVICES
        + "\n    def setup(self):\n        if os.environ['COGGO_RUNNER_INDEX'] == '1': raise RuntimeError('GPU 1 is gone')\n"
    )
    server = start(broken, "--runners", "2")
    until(
        "one has failed",
        lambda: [r["status"] for r in server.health()["runners"]] == ["READY", "SETUP_FAILED"],
    )
    health = server.health()
    assert (health["status"], health["concurrency"]["max"]) == ("READY", 1)
    assert health["setup"]["status"] == "failed" and "GPU 1 is gone" in health["setup"]["logs"]
    assert server.predict({}).json["output"].startswith("0:")


def test_work_of_every_runner_is_finished_before_the_server_ends(start: Any) -> None:
    server = start(MODEL, "--runners", "3")
    all_ready(server, 3)
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(server.predict, {"s": 2}) for _ in range(3)]
        until("all run", lambda: server.health()["concurrency"]["current"] == 3)
        server.ask("POST", "/shutdown")
        assert sorted(w.result().json["output"][0] for w in waiting) == ["0", "1", "2"]
    assert server.process.wait(20) == 0
