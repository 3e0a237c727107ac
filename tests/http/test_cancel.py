"""Cancels by request and by disconnect: docs/http-api.md#cancel."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time

import pytest

from model_sources import model_source
from waiting import alive, until

MODEL = model_source("http/cancel")
ASYNC = model_source("http/cancel_async")
ASYNC_HEADER = {"Prefer": "respond-async"}


@pytest.fixture(scope="module")
def sync_server(start_once):
    return start_once(MODEL)


@pytest.fixture(scope="module")
def async_server(start_once):
    return start_once(ASYNC)


@pytest.fixture(params=["sync", "async"])
def server(request):
    return request.getfixturevalue(f"{request.param}_server")


def yielded(server, id, count=2):
    until(
        "it has yielded",
        lambda: len(server.get(f"/predictions/{id}").json["output"] or []) == count,
    )


def cancel(server, id):
    return server.ask("POST", f"/predictions/{id}/cancel")


class Waiting:
    """A synchronous request in its own thread."""

    def __init__(self, server, input, **envelope):
        self.answer = None
        self._thread = threading.Thread(target=self._ask, args=(server, input, envelope))
        self._thread.start()

    def _ask(self, server, input, envelope):
        self.answer = server.predict(input, **envelope)

    def result(self):
        self._thread.join(20)
        return self.answer


HOWS = [
    ("sleep", "item 0\nitem 1\n"),
    ("compute", "item 0\nitem 1\n"),
    ("except exception", "item 0\nitem 1\n"),
    ("finally", "cleaned up\n"),
    ("named", "canceled by name\n"),
    ("swallow", "swallowed\n"),
]


@pytest.mark.parametrize(("how", "log"), HOWS, ids=[how for how, _ in HOWS])
def test_a_canceled_prediction_keeps_its_output_and_logs(server, receiver, how, log):
    id = f"how-{how.replace(' ', '-')}"
    server.predict({"how": how}, ASYNC_HEADER, id=id, webhook=receiver.url)
    yielded(server, id)
    answer = cancel(server, id)
    assert (answer.status, answer.json) == (200, {})
    body = server.ended(id, 5)
    assert body["status"] == "canceled", body
    assert body["output"][:2] == ["0", "1"]
    assert body["error"] is None
    assert body["logs"].startswith("item 0\nitem 1\n") and log in body["logs"]
    assert body["metrics"]["predict_time"] > 0 and body["completed_at"]
    assert receiver.wait_terminal() == body
    assert [s for s in receiver.statuses() if s not in ("starting", "processing")] == ["canceled"]
    assert server.predict({}).json["output"] == ["0", "1"], "the next prediction works"


def test_an_error_during_the_cleanup_is_a_cancel_or_a_failure(server):
    server.predict({"how": "raises another"}, ASYNC_HEADER, id="another")
    yielded(server, "another")
    cancel(server, "another")
    body = server.ended("another", 5)
    assert body["status"] in ("canceled", "failed") and body["output"] == ["0", "1"]
    assert server.predict({}).json["status"] == "succeeded"


def test_the_waiting_request_is_answered_canceled(server, receiver):
    waiting = Waiting(server, {"how": "sleep"}, id="waited-for", webhook=receiver.url)
    until("it runs", lambda: server.get("/predictions/waited-for").status == 200)
    yielded(server, "waited-for")
    assert cancel(server, "waited-for").status == 200
    answer = waiting.result()
    assert answer.status == 200
    assert (answer.json["status"], answer.json["output"]) == ("canceled", ["0", "1"])
    assert answer.json["logs"].startswith("item 0\nitem 1\n")
    assert receiver.wait_terminal() == answer.json


def test_cancels_can_be_repeated(server, receiver):
    server.predict(
        {"how": "sleep"},
        ASYNC_HEADER,
        id="again",
        webhook=receiver.url,
        webhook_events_filter=["completed"],
    )
    yielded(server, "again")
    assert [cancel(server, "again").status for _ in range(5)] == [200] * 5
    ended = server.ended("again")
    for headers in ({}, {"Prefer": "wait=5"}):
        answer = server.ask("POST", "/predictions/again/cancel", **headers)
        assert (answer.status, answer.json) == (200, {})
    assert server.get("/predictions/again").json == ended
    server.predict({}, id="later", webhook=receiver.url, webhook_events_filter=["completed"])
    until("both came", lambda: {"again", "later"} <= {b["id"] for b in receiver.got})
    assert [b["status"] for b in receiver.got if b["id"] == "again"] == ["canceled"]


@pytest.mark.parametrize(
    "id", ["..%2F..%2Fx", "a%20b", "%C3%A9%F0%9F%98%80", "a%3Fb%23c", "%7Ex", "x" * 512]
)
def test_any_id_can_be_canceled(server, id):
    server.ask("PUT", f"/predictions/{id}", {"input": {"how": "sleep"}}, Prefer="respond-async")
    assert server.get(f"/predictions/{id}").json["status"] in ("starting", "processing")
    assert cancel(server, id).status == 200
    assert server.ended(id)["status"] == "canceled"


@pytest.mark.parametrize("body", [None, "", "{}", "nonsense"])
def test_a_cancel_needs_no_body(sync_server, body):
    sync_server.predict({"how": "sleep"}, ASYNC_HEADER, id="bodied")
    assert sync_server.ask("POST", "/predictions/bodied/cancel", body).status == 200
    assert sync_server.ended("bodied")["status"] == "canceled"


def test_a_cancel_at_once_never_hits_the_next_prediction(server):
    for n in range(40):
        server.predict(
            {"how": "sleep" if n % 2 else "quick", "n": n % 3}, ASYNC_HEADER, id=f"early{n}"
        )
        if n % 4 >= 2:
            time.sleep(0.001 * (n % 5))
        cancel(server, f"early{n}")
        assert server.ended(f"early{n}")["status"] in (
            ("canceled",) if n % 2 else ("canceled", "succeeded")
        )
        body = server.predict({"n": 3}).json
        assert (body["status"], body["output"]) == ("succeeded", ["0", "1", "2"]), body


def leave(server, method, path, body, **headers):
    """Send a request and hang up before the answer."""
    text = json.dumps(body).encode()
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: x",
        "Content-Type: application/json",
        f"Content-Length: {len(text)}",
    ]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    client = socket.create_connection(("127.0.0.1", server.port))
    client.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
    return client


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_client_that_leaves_a_synchronous_request_cancels_it(server, receiver, method):
    path = "/predictions" if method == "POST" else "/predictions/left"
    body = {"id": "left", "input": {"how": "sleep"}, "webhook": receiver.url}
    client = leave(server, method, path, body)
    until("it runs", lambda: server.get("/predictions/left").status == 200)
    yielded(server, "left")
    client.close()
    body = server.ended("left", 5)
    assert (body["status"], body["output"]) == ("canceled", ["0", "1"])
    assert receiver.wait_terminal()["status"] == "canceled"
    server.predict({"n": 0}, id="left")  # forget it, for the next row


def test_a_client_that_leaves_right_away_is_noticed_after_short_predictions_too(server):
    for n in range(20):  # server and runner poll now
        server.predict({"n": 0}, id=f"short{n}")
    leave(server, "POST", "/predictions", {"id": "gone", "input": {"how": "sleep"}}).close()
    until("it is there", lambda: server.get("/predictions/gone").status == 200)
    assert server.ended("gone", 5)["status"] == "canceled"


#: Bytes that a client may send before it has its answer.
EARLY = {
    "line break": b"\r\n",
    "letter": b"G",
    "request": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "much": b"x" * 100_000,
}


@pytest.mark.parametrize("early", EARLY)
def test_a_client_that_sends_more_and_leaves_is_noticed(server, early):
    id = early.replace(" ", "-")
    client = leave(server, "PUT", f"/predictions/{id}", {"input": {"how": "sleep"}})
    until("it runs", lambda: server.get(f"/predictions/{id}").status == 200)
    yielded(server, id)
    client.sendall(EARLY[early])
    yielded(server, id)  # net/http has read it meanwhile
    client.close()
    assert server.ended(id, 5)["status"] == "canceled"


def test_a_client_that_sends_more_and_stays_is_answered(server):
    with (
        leave(server, "POST", "/predictions", {"input": {"n": 0}}) as client,
        client.makefile("rb") as answers,
    ):
        client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert answers.read().count(b"HTTP/1.1 200 OK") == 2


def test_a_client_that_leaves_an_async_request_does_not_cancel_it(sync_server):
    leave(
        sync_server,
        "PUT",
        "/predictions/stays",
        {"input": {"how": "sleep"}},
        Prefer="respond-async",
    ).close()
    until("it runs", lambda: sync_server.get("/predictions/stays").status == 200)
    yielded(sync_server, "stays")
    assert sync_server.get("/predictions/stays").json["status"] == "processing"
    cancel(sync_server, "stays")
    sync_server.ended("stays")


def test_a_client_that_asked_to_wait_can_leave_and_come_back(sync_server):
    client = leave(
        sync_server, "PUT", "/predictions/waits", {"input": {"how": "sleep"}}, Prefer="wait=60"
    )
    until("it runs", lambda: sync_server.get("/predictions/waits").status == 200)
    yielded(sync_server, "waits")
    client.close()
    assert sync_server.predict({}).status == 409
    assert sync_server.get("/predictions/waits").json["status"] == "processing"
    cancel(sync_server, "waits")
    sync_server.ended("waits")


STUBBORN = model_source("http/cancel_stubborn")


@pytest.mark.parametrize("how", ["blocks signals", "swallows"])
def test_a_model_that_ignores_a_cancel_is_replaced(start, receiver, how):
    server = start(STUBBORN, "--cancel-grace", "300ms")
    pid = server.predict({}).json["output"]
    server.predict({"how": how}, ASYNC_HEADER, id="it", webhook=receiver.url)
    until("it works", lambda: server.get("/predictions/it").json["logs"])
    cancel(server, "it")
    body = server.ended("it", 10)
    assert (body["status"], body["logs"]) == ("canceled", "working\n")
    assert receiver.wait_terminal()["status"] == "canceled"
    until("the old process is gone", lambda: not alive(pid))
    server.wait_status("READY")
    assert server.predict({}).json["output"] != pid
    assert [s for s in receiver.statuses() if s not in ("starting", "processing")] == ["canceled"]


def test_a_model_that_waits_for_a_child_is_canceled(start):
    server = start(STUBBORN)
    server.predict({"how": "child"}, ASYNC_HEADER, id="it")
    until("it works", lambda: server.get("/predictions/it").json["logs"])
    cancel(server, "it")
    assert server.ended("it", 5)["status"] == "canceled"


def test_other_predictions_continue_when_one_of_many_is_canceled(start):
    server = start(ASYNC, "--max-concurrency", "4")
    for n in range(4):
        server.predict({"how": "sleep", "n": n}, ASYNC_HEADER, id=f"p{n}")
    for n in range(4):
        yielded(server, f"p{n}", n)
    cancel(server, "p2")
    assert server.ended("p2")["status"] == "canceled"
    assert server.health()["concurrency"] == {"max": 4, "current": 3}
    assert [server.get(f"/predictions/p{n}").json["status"] for n in (0, 1, 3)] == [
        "processing"
    ] * 3
    for n in (0, 1, 3):
        cancel(server, f"p{n}")
        server.ended(f"p{n}")


@pytest.mark.parametrize("how", ["deadline", "client"])
def test_a_prediction_canceled_otherwise_can_be_canceled_by_request(start, how):
    server = start(MODEL, "--predict-timeout", "1s")
    if how == "deadline":
        server.predict({"how": "sleep"}, id="over")
    else:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        body = json.dumps({"input": {"how": "sleep"}})
        connection.request("PUT", "/predictions/over", body, {"Content-Type": "application/json"})
        until("it runs", lambda: server.get("/predictions/over").status == 200)
        connection.close()
    assert server.ended("over")["status"] == "canceled"
    assert (cancel(server, "over").status, cancel(server, "over").json) == (200, {})


def test_a_prediction_with_any_other_end_cannot_be_canceled(sync_server):
    for id, how in (("succeeded", "quick"), ("failed", "raise")):
        assert sync_server.predict({"how": how}, id=id).json["status"] == id
        answer = cancel(sync_server, id)
        assert (answer.status, answer.json) == (404, {})


def test_a_canceled_prediction_that_is_not_retained_is_not_found(start):
    server = start(MODEL, "--retain", "0")
    server.predict({"how": "sleep"}, ASYNC_HEADER, id="gone")
    assert cancel(server, "gone").status == 200
    until("it is gone", lambda: server.get("/predictions/gone").status == 404)
    assert cancel(server, "gone").status == 404


@pytest.mark.parametrize(
    "path", ["/predictions/unknown/cancel", "/predictions/..%2F..%2Funknown/cancel"]
)
def test_an_unknown_id_is_not_found(sync_server, path):
    answer = sync_server.ask("POST", path)
    assert (answer.status, answer.json) == (404, {})
    assert answer.headers["content-type"] == "application/json"


STUBBORN_BESIDE_OTHERS = model_source("http/cancel_stubborn_beside_others")


def test_a_runner_that_is_being_replaced_gets_no_new_prediction(start, tmp_path):
    server = start(
        STUBBORN_BESIDE_OTHERS,
        "--cancel-grace",
        "100ms",
        "--max-concurrency",
        "2",
        "--max-queue",
        "1",
    )
    end, there, never = tmp_path / "end", tmp_path / "there", str(tmp_path / "never")
    there.touch()
    for id, given in {
        "stuck": {"until": never, "stubborn": True},
        "last": {"until": str(end)},
    }.items():
        assert server.predict(given, ASYNC_HEADER, id=id).status == 202
    assert server.predict({"until": str(there)}, ASYNC_HEADER, id="waits").status == 202
    until("it works", lambda: server.get("/predictions/stuck").json["logs"])
    cancel(server, "stuck")
    assert server.ended("stuck")["status"] == "canceled"
    end.touch()  # now the runner is idle and one prediction waits
    assert server.ended("waits")["error"] is None
    assert server.ended("last")["status"] == "succeeded"


def test_the_id_of_a_canceled_prediction_is_refused_while_its_code_still_runs(start, tmp_path):
    server = start(STUBBORN_BESIDE_OTHERS, "--cancel-grace", "100ms", "--max-concurrency", "3")
    old, never, there = tmp_path / "old", str(tmp_path / "never"), tmp_path / "there"
    there.touch()
    for id, given in {
        "keeps": {"until": never},
        "it": {"until": str(old), "stubborn": True},
    }.items():
        assert server.predict(given, ASYNC_HEADER, id=id).status == 202
    until("it works", lambda: server.get("/predictions/it").json["logs"])
    cancel(server, "it")
    assert server.ended("it")["status"] == "canceled"
    refused = server.predict({"until": str(there)}, id="it")
    assert refused.status == 409 and "is still running" in refused.json["error"]
    assert refused.headers["retry-after"] == "1"
    old.touch()
    until("the model has ended it", lambda: server.health()["concurrency"]["current"] == 1)
    assert server.predict({"until": str(there)}, id="it").json["output"] == str(there), (
        "not the output of the old run"
    )
    cancel(server, "keeps")


def test_a_cancel_signal_that_a_model_missed_is_sent_again(start):
    """For instance, the signal may come right before a system call of the model, which then still
    blocks.
    """
    server = start(
        """
import signal, time
class Predictor:
    def predict(self) -> str:
        hear = signal.getsignal(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, lambda *_: signal.signal(signal.SIGUSR1, hear))
        print("begun", flush=True)
        time.sleep(60)
        return "slept"
"""
    )
    runner = server.runner()
    server.predict({}, {"Prefer": "respond-async"}, id="it")
    until("it runs", lambda: "begun" in server.get("/predictions/it").json["logs"])
    assert server.ask("POST", "/predictions/it/cancel").status == 200
    assert server.ended("it")["status"] == "canceled"
    assert server.runner() == runner, "it was killed instead"
