"""A prediction takes no slot while the server fetches its files: others run meanwhile, and then it
is the next one.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import threading

import pytest
from prometheus_client.parser import text_string_to_metric_families

from http_harness import Reply
from model_sources import model_source
from waiting import until

#: Records the order of the runs. A run continues until the file ``until`` exists.
MODEL = model_source("http/fetching")
KINDS = {
    "sync": MODEL,
    "async": model_source("http/fetching_async"),
    "batch": """
from cog import BasePredictor, Path, batch

class Predictor(BasePredictor):
    @batch(max_size=2, max_wait_ms=1)
    def predict(self, name: list[str], file: list[Path] = None) -> list[list]:
        return [[n, f.read_text() if f else ""] for n, f in zip(name, file)]
""",
}
ASYNC = {"Prefer": "respond-async"}


class Drips:
    """Sources that send one byte, and the rest after `let_go`."""

    def __init__(self, store):
        self._store = store
        self._let_go = {}

    def __call__(self, name):
        go = self._let_go[name] = threading.Event()

        def reply(_):
            return Reply(
                200,
                {"Content-Length": str(len(name) + 1)},
                (part() for part in (lambda: b"-", rest)),
            )

        def rest():
            go.wait(60)
            return name.encode()

        self._store.routes[f"/{name}"] = reply
        return f"{self._store.url}/{name}"

    def begun(self):
        """The number of sources that the server has begun to fetch."""
        return len(self._store.got)

    def let_go(self, *names):
        for name in names or self._let_go:
            self._let_go[name].set()

    def wait(self, *names):
        """Wait until the server fetches all of these."""
        until(
            f"{names} are fetched",
            lambda: {f"/{n}" for n in names} <= {got.path for got in self._store.got},
        )


@pytest.fixture
def drip(store):
    drips = Drips(store)
    yield drips
    drips.let_go()


def begin(server, drip, *names):
    """Begin a prediction for each name, with a file of a slow source."""
    for name in names:
        answer = server.predict({"name": name, "file": drip(name)}, ASYNC, id=name)
        assert (answer.status, answer.json["status"]) == (202, "starting"), answer.body
    drip.wait(*names)


@pytest.fixture
def occupy(tmp_path):
    """Takes a slot, and returns a function that frees it."""
    gate = tmp_path / "gate"

    def take(server, id="blocker"):
        assert server.predict({"name": id, "until": str(gate)}, ASYNC, id=id).status == 202
        until("it runs", lambda: server.get(f"/predictions/{id}").json["status"] == "processing")
        return gate.touch

    yield take
    gate.touch()


def ran(server, id):
    """The order of the runs and the file that a prediction saw."""
    body = server.ended(id)
    assert body["status"] == "succeeded", body["error"]
    return body["output"]


def no_inputs(server):
    until("no file is left", lambda: not server.inputs())


def gauge(server, name):
    families = text_string_to_metric_families(server.get("/metrics").body.decode())
    return next(f.samples[0].value for f in families if f.name == f"coggo_predictions_{name}")


@pytest.mark.parametrize("kind", KINDS)
def test_others_are_served_while_a_slow_source_sends(start, drip, kind):
    server = start(KINDS[kind], *(["--max-concurrency", "1"] if kind != "batch" else []))
    begin(server, drip, "slow", "slower", "slowest")
    health = server.health()
    assert (health["status"], health["concurrency"]["current"]) == ("READY", 0)
    for name in ("a", "b"):
        answer = server.predict({"name": name})
        assert answer.status == 200 and answer.json["output"][-2:] == [name, ""], answer.body
    assert server.get("/predictions/slow").json["started_at"] is None
    for name in ("slower", "slow", "slowest"):
        drip.let_go(name)
        assert ran(server, name)[-2:] == [name, f"-{name}"]
    no_inputs(server)


def test_trainings_and_v1_take_no_slot_while_they_fetch(start, drip):
    server = start(MODEL)
    training = server.ask(
        "PUT", "/trainings/t", {"input": {"name": "t", "file": drip("t")}}, **ASYNC
    )
    assert training.status == 202
    v1 = server.ask("POST", "/v1/predictions", {"input": {"name": "v", "file": drip("v")}})
    assert v1.status == 201 and v1.json["status"] == "starting", v1.body
    drip.wait("t", "v")
    assert server.predict({"name": "a"}).status == 200
    drip.let_go()
    assert ran(server, v1.json["id"])[-1] == "-v"
    assert ran(server, "t")[-1] == "-t"


def test_finished_downloads_run_first_in_the_order_they_finish(start, drip, occupy):
    server = start(MODEL, "--max-queue", "2")
    begin(server, drip, "a", "b", "c")
    give_back = occupy(server)
    for name in ("q", "r"):
        assert server.predict({"name": name}, ASYNC, id=name).status == 202
    assert (gauge(server, "in_flight"), gauge(server, "fetching"), gauge(server, "queued")) == (
        6,
        3,
        2,
    )
    for count, name in enumerate(("c", "a"), start=3):
        drip.let_go(name)
        until(f"{name} is queued", lambda c=count: gauge(server, "queued") == c)
    assert (gauge(server, "in_flight"), gauge(server, "fetching")) == (6, 1)
    assert server.predict({"name": "x"}).status == 429
    give_back()
    assert ran(server, "r")[:-1] == ["blocker", "c", "a", "q", "r"]
    drip.let_go("b")
    assert ran(server, "b")[-2:] == ["b", "-b"]


def test_without_a_free_slot_a_request_with_files_is_refused_with_409(start, drip, occupy):
    server = start(MODEL)
    give_back = occupy(server)
    assert server.predict({"file": drip("a")}).status == 409
    give_back()
    server.ended("blocker")
    begin(server, drip, "a")


def test_a_queued_prediction_fetches_when_its_turn_comes_and_lets_the_next_one_run(
    start, store, drip, occupy
):
    server = start(MODEL, "--max-queue", "2")
    give_back = occupy(server)
    assert server.predict({"name": "a", "file": drip("a")}, ASYNC, id="a").status == 202
    assert server.predict({"name": "b"}, ASYNC, id="b").status == 202
    assert store.got == []
    give_back()
    assert ran(server, "b") == ["blocker", "b", ""]
    drip.let_go()
    assert ran(server, "a") == ["blocker", "b", "a", "-a"]


@pytest.mark.parametrize("beyond", [0, 2])
def test_max_fetching_predictions_are_accepted_beyond_the_slots(start, drip, occupy, beyond):
    server = start(KINDS["async"], "--max-fetching", str(beyond), "--max-concurrency", "2")
    names = [str(n) for n in range(2 + beyond)]
    begin(server, drip, *names)
    refused = server.predict({"file": drip("more")})
    assert refused.status == 409 and "files" in refused.json["detail"], refused.body
    assert server.predict({"name": "without"}).status == 200, "a slot is free"
    give_back = occupy(server)
    server.ask("POST", "/predictions/0/cancel")
    server.ended("0")
    assert server.predict({"file": drip("more")}).status == 409, "a running prediction counts"
    give_back()
    server.ended("blocker")
    begin(server, drip, "more")
    drip.let_go()
    for name in [*names[1:], "more"]:
        assert ran(server, name)[-1] == f"-{name}"


def test_a_prediction_beyond_max_fetching_waits_in_the_queue_and_others_pass_it(start, drip):
    server = start(MODEL, "--max-fetching", "0", "--max-queue", "1")
    begin(server, drip, "a")
    assert server.predict({"name": "b", "file": drip("b")}, ASYNC, id="b").status == 202
    refused = server.predict({"file": drip("c")})
    assert refused.status == 429 and "files" in refused.json["detail"], refused.body
    assert server.predict({"name": "without"}).json["output"] == ["without", ""]
    server.ask("POST", "/predictions/a/cancel")
    drip.wait("b")
    drip.let_go()
    assert ran(server, "b") == ["without", "b", "-b"]


@pytest.mark.parametrize("where", ["fetches", "is in line"])
@pytest.mark.parametrize("how", ["cancel", "disconnect", "deadline"])
def test_a_waiting_prediction_ends_by_cancel_deadline_and_disconnect(
    start, drip, occupy, how, where
):
    server = start(MODEL, *(["--predict-timeout", "1s"] if how == "deadline" else []))
    body = json.dumps({"id": "a", "input": {"name": "a", "file": drip("a")}}).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(
            b"POST /predictions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        )
        client.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        drip.wait("a")
        give_back = occupy(server)
        if where == "is in line":
            drip.let_go()
            until("it is queued", lambda: gauge(server, "queued") == 1 or how == "deadline")
        if how == "cancel":
            assert server.ask("POST", "/predictions/a/cancel").status == 200
        elif how == "disconnect":
            client.close()
        found = server.ended("a")
    assert (found["status"], found["started_at"], found["output"]) == ("canceled", None, None)
    assert ("deadline" in (found["error"] or "")) == (how == "deadline")
    give_back()
    server.ended("blocker")
    assert server.predict({"name": "b"}).json["output"][-2:] == ["b", ""]
    assert (gauge(server, "in_flight"), gauge(server, "fetching"), gauge(server, "queued")) == (
        0,
        0,
        0,
    )
    no_inputs(server)


def test_a_failing_source_fails_only_its_prediction(start, store, drip):
    server = start(MODEL, "--max-fetching", "1")
    begin(server, drip, "a")
    for _ in range(3):
        assert "404" in server.predict({"file": store.url + "/gone"}).json["error"]
    begin(server, drip, "b")
    drip.let_go()
    ran(server, "a"), ran(server, "b")
    no_inputs(server)


def test_a_runner_that_dies_does_not_end_downloads_of_inputs(start, drip):
    server = start(MODEL)
    begin(server, drip, "a", "b")
    drip.let_go("b")
    ran(server, "b")
    os.kill(server.runner(), signal.SIGKILL)
    until("it is started again", lambda: "runner ended" in server.log())
    drip.let_go("a")
    assert ran(server, "a") == ["a", "-a"]


def test_predictions_with_running_downloads_fail_once_no_runner_can_start(start, drip):
    server = start(MODEL, "--max-restarts", "0", expect_exit=1)
    begin(server, drip, "a")
    runner = server.runner()
    answers = []
    waits = threading.Thread(
        target=lambda: answers.append(server.predict({"file": drip("b")}, id="b"))
    )
    waits.start()
    drip.wait("b")
    os.kill(runner, signal.SIGKILL)
    waits.join()
    assert answers[0].json["status"] == "failed" and "died" in answers[0].json["error"]
    assert server.process.wait(20) == 1


@pytest.mark.parametrize("ends", ["in time", "never"])
def test_shutdown_waits_for_downloads_of_inputs(start, receiver, drip, ends):
    server = start(MODEL, *(["--runner-shutdown-grace-period", "0.3"] if ends == "never" else []))
    answer = server.predict(
        {"name": "a", "file": drip("a")},
        ASYNC,
        webhook=receiver.url,
        webhook_events_filter=["completed"],
    )
    assert answer.status == 202
    drip.wait("a")
    server.process.send_signal(signal.SIGTERM)
    if ends == "in time":
        until("new ones are refused", lambda: server.predict({}).status == 503)
        drip.let_go()
        assert receiver.wait_terminal()["output"][-2:] == ["a", "-a"]
    else:
        told = receiver.wait_terminal()
        assert told["status"] == "failed" and "shut down" in told["error"]
    assert server.process.wait(20) == 0


def test_the_next_server_continues_downloads_of_a_killed_one_without_a_slot(start, drip, tmp_path):
    where = ["--working-dir", str(tmp_path / "spool")]
    first = start(MODEL, *where)
    begin(first, drip, "a", "b")
    first.kill()
    drip.let_go()
    begun = drip.begun()
    urls = [drip("a"), drip("b")]
    assert urls
    second = start(MODEL, *where, "--max-fetching", "0", ready=False)
    until("one is fetched again", lambda: drip.begun() == begun + 1)
    second.wait_status("READY")
    assert second.predict({"name": "c"}).json["output"] == ["c", ""]
    assert drip.begun() == begun + 1, "the other one still waits"
    drip.let_go()
    assert ran(second, "a")[-1] == "-a" and ran(second, "b")[-1] == "-b"
    no_inputs(second)


def test_with_several_runners_the_files_go_to_the_one_that_takes_the_prediction(
    start, drip, occupy, tmp_path
):
    server = start(MODEL, "--runners", "2", "--working-dir", str(tmp_path / "spool"))
    until("both are ready", lambda: server.health()["concurrency"]["max"] == 2)
    names = ["a", "b", "c", "d"]
    begin(server, drip, *names)
    give_back = occupy(server)
    assert server.predict({"name": "x"}).status == 200
    server.ask("POST", "/predictions/d/cancel")
    server.ended("d")
    drip.let_go()
    for name in names[:3]:
        assert ran(server, name)[-1] == f"-{name}"
    assert server.predict({"file": "data:,whole"}).json["output"][-1] == "whole"
    give_back()
    server.ended("blocker")
    until("no file is left", lambda: not server.inputs())
