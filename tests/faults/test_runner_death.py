"""The runner dies: its predictions in flight fail at once, and the next prediction works."""

from __future__ import annotations

import os
import signal
import time

import pytest

from faults_models import ASYNC_MODEL, MODEL, asked, begun, ends, family
from http_harness import processes
from waiting import alive, until

DEATHS = {
    "kill": "signal 9",
    "term": "signal 15",
    "segfault": "signal 11",
    "overflow": "signal 11",  # of the stack, in C
    "abort": "signal 6",
    "exit": "exit status 7",
    "exit 0": "exit status 0",
    "memory": "memory",
}
MANY = ("--max-restarts", "1000")


@pytest.fixture(scope="module")
def sync_server(start_once):
    return start_once(MODEL, *MANY)


@pytest.fixture(scope="module")
def async_server(start_once):
    return start_once(ASYNC_MODEL, *MANY, "--max-concurrency", "64")


@pytest.fixture(params=["sync", "async"])
def server(request):
    found = request.getfixturevalue(f"{request.param}_server")
    found.wait_status("READY")
    return found


@pytest.mark.parametrize("action", DEATHS)
def test_a_prediction_fails_with_the_reason_and_keeps_its_output(server, receiver, action):
    answer = server.predict({"action": action, "n": 3}, webhook=receiver.url)
    assert answer.status == 200
    body = answer.json
    assert (
        body["status"] == "failed"
        and DEATHS[action] in body["error"].lower() + body["logs"].lower()
    ), body
    assert body["output"] == ["part 3"] and body["logs"].startswith("line 3\n")
    assert body["completed_at"] and body["metrics"] is not None
    assert receiver.wait_terminal() == body
    server.wait_status("READY")
    assert server.predict({"n": 1}, webhook=receiver.url, id="next").json["status"] == "succeeded"
    until("the receiver has the end of the next one", lambda: "next" in ends(receiver))
    assert ends(receiver)[body["id"]] == ["failed"]


FROM_OUTSIDE = [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, signal.SIGABRT]


@pytest.mark.parametrize("number", FROM_OUTSIDE)
def test_a_runner_killed_while_idle_is_replaced(server, number):
    old = server.runner()
    os.kill(old, number)
    until("there is another one", lambda: server.runner() not in (0, old))
    server.wait_status("READY")
    assert server.predict({}).json["status"] == "succeeded"
    assert family(server) == []


@pytest.mark.parametrize("number", FROM_OUTSIDE)
@pytest.mark.parametrize(("kind", "count"), [("sync", 1), ("async", 8), ("async", 64)])
def test_all_that_run_at_once_fail_once(request, receiver, kind, count, number):
    server = request.getfixturevalue(f"{kind}_server")
    server.wait_status("READY")
    runner = server.runner()
    ids = [f"{count}-{number:d}-{n}" for n in range(count)]
    for n, id in enumerate(ids):
        action = "child,session" if n == 0 else ""
        asked(
            server,
            {"s": 600, "n": n, "action": action},
            id=id,
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
    for id in ids:
        begun(server, id)
    os.kill(runner, number)
    bodies = [server.ended(id) for id in ids]
    for n, body in enumerate(bodies):
        assert body["status"] == "failed" and f"signal {number:d}" in body["error"]
        assert body["output"] == [f"part {n}"] and body["logs"] == f"line {n}\n"
    until("the receiver has every end", lambda: len(ends(receiver)) == count)
    server.wait_status("READY")
    assert server.runner() != runner
    assert server.predict({}).json["status"] == "succeeded"
    assert set(map(tuple, ends(receiver).values())) == {("failed",)}
    assert family(server) == [], "all processes of the first one are gone, and there is no zombie"


def test_processes_started_by_a_model_end_with_it(server):
    server.predict({"action": "child,session,silent,daemon"})
    runner = server.runner()
    mark = f"TMPDIR={server.temporary}"
    started = [p for p in processes(mark) if p not in (runner, server.process.pid)]
    assert len(started) >= 3
    os.kill(runner, signal.SIGKILL)
    until("there is another one", lambda: server.runner() not in (0, runner))
    assert [p for p in started if alive(p)] == []
    assert family(server) == []


def test_orphans_of_a_living_runner_leave_no_zombies(server):
    server.predict({"action": "brief"})
    until("the orphan was reaped", lambda: family(server) == [])
    assert server.predict({}).json["status"] == "succeeded"


def test_a_runner_without_descriptors_is_replaced(server):
    server.predict({"action": "descriptors"})
    until("predictions work again", lambda: server.predict({}).json.get("status") == "succeeded")


@pytest.mark.parametrize("action", DEATHS)
def test_the_cause_of_a_death_in_setup_is_reported(start, action):
    server = start(MODEL, env={"IN_SETUP": action}, ready=False)
    server.wait_status("SETUP_FAILED")
    assert DEATHS[action] in server.health()["setup"]["logs"].lower()
    assert server.predict({}).status == 503
    assert family(server) == []


@pytest.mark.parametrize("number", FROM_OUTSIDE)
def test_the_signal_that_kills_a_runner_in_setup_is_reported(start, number):
    server = start(MODEL, env={"IN_SETUP": "pause"}, ready=False)
    os.kill(server.runner(), number)
    server.wait_status("SETUP_FAILED")
    assert f"signal {number:d}" in server.health()["setup"]["logs"]
    assert family(server) == []


def test_each_of_twenty_kills_in_a_row_fails_its_prediction(sync_server, receiver):
    """`make kills` does this a thousand times."""
    late = []
    for n in range(20):
        sync_server.wait_status("READY")
        asked(
            sync_server,
            {"s": 600},
            id=f"kill{n}",
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
        os.kill(sync_server.runner(), signal.SIGKILL)
        begin = time.monotonic()
        assert sync_server.ended(f"kill{n}")["status"] == "failed"
        late.append(time.monotonic() - begin)
    until("the receiver has every end", lambda: len(ends(receiver)) == 20)
    assert set(map(tuple, ends(receiver).values())) == {("failed",)}
    assert sorted(late)[10] < 1
    assert family(sync_server) == []


def test_death_in_the_setup_of_a_restart_is_one_more_crash(start):
    """A setup that has worked before gets another try, within --max-restarts."""
    server = start(MODEL, env={"IN_SETUP": "pause"}, ready=False)
    server.wait_status("READY")
    os.kill(server.runner(), signal.SIGKILL)
    server.wait_status("STARTING")
    second = until("there is another one", server.runner)
    os.kill(second, signal.SIGKILL)
    until("there is a third one", lambda: server.runner() not in (0, second))
    server.wait_status("READY")
    assert server.predict({}).json["status"] == "succeeded"
