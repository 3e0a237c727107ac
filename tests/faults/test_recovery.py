"""After a kill of the server, the next one on the same directory loses nothing and reports one end
of each prediction.
"""

from __future__ import annotations

import os
import pathlib
import random
import signal
import threading
import time

import pytest

from faults_models import ASYNC, ASYNC_MODEL, MODEL, TERMINAL, asked, begun, ends, files_in
from http_harness import processes
from model_sources import model_source
from waiting import alive, until

QUIET = {"webhook_events_filter": ["completed"]}


@pytest.fixture
def where(tmp_path):
    return ("--working-dir", str(tmp_path / "spool"))


def idle_files(where):
    return [
        n for n in files_in(pathlib.Path(where[1])) if not n.startswith(("results/", "reserve"))
    ]


BARE = ["lock", "logs", "openapi.json", "setup-result.json"]


@pytest.mark.timed
@pytest.mark.parametrize("action", ["", "child,session,daemon", "stubborn,child", "gil"])
def test_a_killed_server_leaves_no_process(start, action):
    hold = "ctypes.PyDLL(None).sleep(600)" if action == "gil" else "None"
    server = start(MODEL.replace("ACTIONS = {", "ACTIONS = {'gil': lambda: " + hold + ","))
    asked(server, {"action": action, "s": 600}, id="it")
    if action != "gil":
        begun(server, "it")
    mark = f"TMPDIR={server.temporary}"
    count = 2 + len([d for d in action.split(",") if d in ("child", "daemon")])
    until("all run", lambda: len(processes(mark)) >= count)
    time.sleep(0.1)  # let the model begin
    pids = processes(mark)
    server.kill()
    until("all are gone", lambda: not any(map(alive, pids)), 2)


def test_the_next_server_ends_processes_that_a_killed_guard_left(start, where, tmp_path):
    first = start(MODEL, *where)
    first.predict({"action": "daemon"})
    guards = [
        int(p)
        for p in os.listdir("/proc")
        if p.isdigit() and f"/{first.process.pid:x}-".encode() in command(int(p))
    ]
    assert len(guards) == 1
    os.kill(guards[0], signal.SIGKILL)
    first.kill()
    left = processes(f"TMPDIR={first.temporary}")
    assert left, "the daemon outlives both"
    start(MODEL, *where)
    assert not any(map(alive, left))


def command(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            line = file.read()
    except OSError:
        return b""
    return line if line.startswith(b"coggo-guard\0") else b""


@pytest.mark.parametrize("recover", ["fail", "rerun"])
def test_predictions_in_flight_fail_or_run_again(start, receiver, where, tmp_path, recover):
    gate = tmp_path / "gate"
    first = start(ASYNC_MODEL, *where, "--max-concurrency", "8")
    for n in range(8):
        asked(first, {"gate": str(gate), "n": n}, id=f"p{n}", webhook=receiver.url, **QUIET)
    for n in range(8):
        begun(first, f"p{n}")
    first.kill()
    gate.touch()
    second = start(ASYNC_MODEL, *where, "--max-concurrency", "8", "--recover", recover, ready=False)
    for n in range(8):
        body = second.ended(f"p{n}")
        if recover == "fail":
            assert body["status"] == "failed" and "restarted" in body["error"]
            assert body["output"] == [f"part {n}"] and body["logs"] == f"line {n}\n"
        else:
            assert body["status"] == "succeeded" and body["output"] == [f"part {n}"]
    until("the receiver has every end", lambda: len(ends(receiver)) == 8)
    assert {len(told) for told in ends(receiver).values()} == {1}
    until("nothing is left", lambda: idle_files(where) == BARE)


def test_a_prediction_that_waited_for_a_slot_runs(start, receiver, where, tmp_path):
    gate = tmp_path / "gate"
    first = start(MODEL, *where, "--max-queue", "10")
    for n in range(4):
        asked(first, {"gate": str(gate), "n": n}, id=f"p{n}", webhook=receiver.url, **QUIET)
    begun(first, "p0")
    first.kill()
    gate.touch()
    second = start(MODEL, *where, ready=False)
    assert second.ended("p0")["status"] == "failed"
    for n in range(1, 4):
        body = second.ended(f"p{n}")
        assert body["output"] == [f"part {n}"], (body, second.log())
    until("the receiver has every end", lambda: len(ends(receiver)) == 4)
    until("nothing is left", lambda: idle_files(where) == BARE)


def test_an_unread_response_of_the_runner_is_delivered(start, receiver, where, tmp_path):
    gate = tmp_path / "gate"
    first = start(MODEL, *where)
    asked(first, {"gate": str(gate), "n": 5}, id="it", webhook=receiver.url, **QUIET)
    begun(first, "it")
    first.process.send_signal(signal.SIGSTOP)
    gate.touch()
    until("the runner has answered", (tmp_path / "spool" / "response-it.json").exists)
    first.kill()
    second = start(MODEL, *where, ready=False)
    body = second.ended("it")
    assert (body["status"], body["output"]) == ("succeeded", ["part 5"])
    assert receiver.wait_terminal() == body
    assert ends(receiver) == {"it": ["succeeded"]}


def test_a_second_run_of_an_id_is_not_mistaken_for_the_first(start, receiver, where):
    first = start(MODEL, *where)
    asked(first, {"n": 1}, id="it", webhook=receiver.url, **QUIET)
    until(
        "the receiver has the end of the first run", lambda: ends(receiver) == {"it": ["succeeded"]}
    )
    asked(first, {"n": 2, "s": 600}, id="it", webhook=receiver.url, **QUIET)
    begun(first, "it")
    first.kill()
    second = start(MODEL, *where, ready=False)
    body = second.ended("it")
    assert body["status"] == "failed" and body["output"] == ["part 2"]
    until(
        "the receiver has the end of the second run",
        lambda: ends(receiver) == {"it": ["succeeded", "failed"]},
    )


def test_a_crash_between_the_journal_entries_of_an_end_loses_nothing(
    start, receiver, where, tmp_path
):
    receiver.answer = lambda n: 503
    first = start(MODEL, *where)
    asked(first, {"n": 1}, id="it", webhook=receiver.url, **QUIET)
    want = first.ended("it")
    first.kill()
    [noted] = (tmp_path / "spool" / "results").iterdir()
    noted.unlink()  # as if the server had crashed before it wrote this
    receiver.answer = lambda n: 200
    second = start(MODEL, *where)
    assert second.get("/predictions/it").json == want
    until("it was delivered", lambda: not list((tmp_path / "spool" / "outbox").iterdir()))
    second.kill()
    assert start(MODEL, *where).get("/predictions/it").json == want


def test_two_undelivered_webhooks_of_one_id_are_both_delivered(start, receiver, where):
    receiver.answer = lambda n: 503
    first = start(MODEL, *where)
    for n in range(2):
        asked(first, {"n": n}, id="it", webhook=receiver.url, **QUIET)
        until("it has ended", lambda: first.health()["status"] == "READY")
    first.kill()
    receiver.got.clear()
    receiver.answer = lambda n: 200
    second = start(MODEL, *where)
    until("both came", lambda: {body["output"][0] for body in receiver.got} == {"part 0", "part 1"})
    assert second.get("/predictions/it").json["output"] == ["part 1"]
    until("nothing is left", lambda: idle_files(where) == BARE)


def test_an_ignored_cancel_is_not_reported_again_as_a_failure(start, receiver, where):
    stubborn = model_source("faults/models_stay")
    first = start(stubborn, *where, "--max-concurrency", "4", "--cancel-grace", "100ms")
    asked(first, {"action": "stay", "n": 1}, id="other")
    first.ask(
        "PUT",
        "/predictions/it",
        {"input": {"action": "stay"}, "webhook": receiver.url, **QUIET},
        **ASYNC,
    )
    begun(first, "it")
    first.ask("POST", "/predictions/it/cancel")
    until("the receiver has the end", lambda: ends(receiver) == {"it": ["canceled"]})
    until("it is delivered", lambda: not list((first.spool() / "outbox").iterdir()))
    first.kill()
    second = start(MODEL, *where, ready=False)
    assert second.ended("other")["status"] == "failed"
    assert second.get("/predictions/it").json["status"] == "canceled"
    assert ends(receiver) == {"it": ["canceled"]}
    assert second.ask("POST", "/predictions/it/cancel").status == 200, "it is retained as canceled"
    assert second.ask("POST", "/predictions/other/cancel").status == 404


def test_a_result_of_a_put_outlives_the_server(start, where):
    """A PUT repeated after a lost answer does not run again."""
    first = start(MODEL, *where)
    body = {"input": {"n": 3}}
    once = first.ask("PUT", "/predictions/it", body).json
    first.kill()
    second = start(MODEL, *where)
    assert second.get("/predictions/it").json == once
    again = second.ask("PUT", "/predictions/it", body)
    assert (again.status, again.json) == (200, once)
    assert second.ask("PUT", "/predictions/it", {"input": {"n": 4}}).json["output"] == ["part 4"]


def test_a_server_with_fewer_runners_recovers_all_predictions(start, receiver, where, tmp_path):
    first = start(MODEL, *where, "--runners", "3")
    until("all are ready", lambda: first.health()["concurrency"]["max"] == 3)
    for n in range(3):
        asked(first, {"s": 600, "n": n}, id=f"p{n}", webhook=receiver.url, **QUIET)
    for n in range(3):
        begun(first, f"p{n}")
    first.kill()
    second = start(MODEL, *where, ready=False)
    for n in range(3):
        assert second.ended(f"p{n}")["status"] == "failed"
    until("the receiver has every end", lambda: len(ends(receiver)) == 3)
    until("nothing is left", lambda: idle_files(where) == BARE)


def test_garbage_left_by_a_crash_does_not_stop_the_next_server(start, where, tmp_path):
    spool = tmp_path / "spool"
    first = start(MODEL, *where)
    first.kill()
    for name in (
        "request-broken.json",
        "request-empty.json",
        "response-alone.json",
        "events-alone.jsonl",
        "cancel-alone.json",
        ".tmp/response-half.json",
        "results/broken.json",
        "queued/broken.json",
        "outbox/broken.json",
    ):
        (spool / name).write_bytes(b"" if "empty" in name else b'{"id": ')
    second = start(MODEL, *where)
    assert second.predict({}).json["status"] == "succeeded"
    for name in ("request-broken", "results/broken", "queued/broken", "outbox/broken"):
        assert name in second.log(), name
    broken = {"results/broken.json", "queued/broken.json", "outbox/broken.json"}
    assert set(idle_files(where)) - broken == set(BARE)


def test_kills_under_load_lose_and_duplicate_nothing(start, receiver, where):
    """Each accepted id has one end. Its receiver gets it at least once, and never another one."""
    acknowledged, rolls = [], random.Random(4)

    def answer(n):
        if rolls.random() < 0.3:
            return 503
        acknowledged.append(n - 1)
        return 200

    receiver.answer = answer
    flags = (
        *where,
        "--max-concurrency",
        "16",
        "--max-restarts",
        "1000",
        "--retain",
        "100000",
        "--recover",
        "rerun",
    )
    accepted: list[str] = []
    holder = [start(ASYNC_MODEL, *flags)]
    stop = threading.Event()

    def load(name):
        for n in range(10_000):
            if stop.is_set():
                return
            id = f"{name}-{n}"
            try:
                body = {
                    "id": id,
                    "input": {"s": (n % 5) / 50, "n": n},
                    "webhook": receiver.url,
                    **QUIET,
                }
                if holder[0].ask("POST", "/predictions", body, timeout=5, **ASYNC).status == 202:
                    accepted.append(id)
                else:
                    time.sleep(0.01)
            except OSError:
                time.sleep(0.02)
            except Exception:  # cut by the kill: the prediction may have been accepted or not
                time.sleep(0.02)

    threads = [threading.Thread(target=load, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for turn in range(6):
        time.sleep(rolls.uniform(0.1, 0.4))
        if turn % 2:
            holder[0].kill()
            holder[0] = start(ASYNC_MODEL, *flags)
        else:
            os.kill(holder[0].runner(), signal.SIGKILL)
            holder[0].wait_status("READY")
    stop.set()
    for thread in threads:
        thread.join()
    assert len(accepted) > 50
    last = holder[0]
    for id in accepted:
        assert last.ended(id)["status"] in TERMINAL
    until(
        "each was acknowledged",
        lambda: {receiver.got[i]["id"] for i in acknowledged} >= set(accepted),
        30,
    )
    assert {id: told for id, told in ends(receiver).items() if len(set(told)) > 1} == {}
    until("nothing is left", lambda: idle_files(where) == BARE)


def test_queued_predictions_from_before_the_crash_also_run_while_the_server_drains(
    start, receiver, where, tmp_path
):
    gate = tmp_path / "gate"
    model = f"import os, time\ndef predict() -> int:\n    while not os.path.exists({str(gate)!r}): time.sleep(0.01)\n    return 1\n"
    more = (*where, "--max-queue", "1", "--recover", "rerun")
    first = start(model, *more, predict="predict.py:predict")
    first.ask("PUT", "/predictions/runs", {"input": {}}, **ASYNC)
    first.ask("PUT", "/predictions/waits", {"input": {}, "webhook": receiver.url, **QUIET}, **ASYNC)
    first.kill()
    second = start(model, *more, predict="predict.py:predict", ready=False)
    until("it runs again", lambda: second.get("/predictions/runs").json["status"] == "processing")
    os.kill(second.process.pid, signal.SIGTERM)
    until("the server drains", lambda: "shutting down" in second.log())
    gate.touch()
    until("the receiver has the end", lambda: ends(receiver) == {"waits": ["succeeded"]})
