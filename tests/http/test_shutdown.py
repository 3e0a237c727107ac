"""Shutdown waits for running predictions, notifies every client and leaves nothing:
docs/operating.md#graceful-end.
"""

from __future__ import annotations

import signal
import socket
import threading
import time
import urllib.parse

import pytest

from waiting import alive, until

MODEL = """
import time
class Predictor:
    def predict(self, s: float = 0) -> str:
        print("working", flush=True)
        time.sleep(s)
        return "done"
"""
ASYNC = {"Prefer": "respond-async"}


def stop(server, how):
    if how == "shutdown":
        assert server.ask("POST", "/shutdown").json == {}
    else:
        server.process.send_signal(getattr(signal, how))


def waiting(server, s, id):
    """A synchronous request in a thread, once it runs."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(server.predict({"s": s}, id=id)))
    thread.start()
    until("it runs", lambda: server.get(f"/predictions/{id}").status == 200)
    until("it works", lambda: server.get(f"/predictions/{id}").json["logs"])
    return thread, answers


@pytest.mark.parametrize("how", ["shutdown", "SIGTERM", "SIGINT"])
def test_a_synchronous_request_under_way_is_answered_and_new_ones_are_refused(start, how):
    server = start(MODEL)
    runner = server.runner()
    thread, answers = waiting(server, 1, "last")
    stop(server, how)
    until("new ones are refused", lambda: server.predict({}).status == 503)
    refused = server.predict({})
    assert refused.json["status"] == "failed" and "shutting down" in refused.json["error"]
    assert server.get("/health-check").status == 200
    thread.join()
    assert answers[0].status == 200 and answers[0].json["output"] == "done"
    assert server.process.wait(20) == 0
    until("the runner is gone", lambda: not alive(runner))


def test_predictions_that_outlive_the_grace_period_fail_and_notify_client_and_webhook(
    start, receiver
):
    server = start(MODEL, "--runner-shutdown-grace-period", "0.3", "--max-queue", "1")
    thread, answers = waiting(server, 60, "long")
    server.predict(
        {}, ASYNC, id="queued", webhook=receiver.url, webhook_events_filter=["completed"]
    )
    stop(server, "SIGTERM")
    thread.join()
    body = answers[0].json
    assert (answers[0].status, body["status"], body["logs"]) == (200, "failed", "working\n")
    assert "shut down" in body["error"]
    assert server.process.wait(20) == 0
    assert receiver.statuses() == ["failed"]


LARGE = "class Predictor:\n    def predict(self) -> str:\n        return 'x' * (24 << 20)\n"


def asked(server, request=b"POST /predictions"):
    """A connection whose client reads slowly and has the beginning of a large answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 << 10)
    client.connect(("127.0.0.1", server.port))
    client.sendall(request + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
    assert client.recv(100).startswith(b"HTTP/1.1 200")
    return client


@pytest.mark.parametrize("what", ["output", "file"])
def test_an_answer_under_way_reaches_a_slow_client(start, what):
    server = start(LARGE)
    request = b"POST /predictions"
    if what == "file":
        form = (
            b'--b\r\nContent-Disposition: form-data; name="content"\r\n\r\n'
            + bytes(24 << 20)
            + b"\r\n--b--\r\n"
        )
        made = server.ask("POST", "/v1/files", form, Content_Type="multipart/form-data; boundary=b")
        request = (
            b"GET " + urllib.parse.urlsplit(made.json["urls"]["get"]).path.encode() + b"/download"
        )
    with asked(server, request) as client:
        stop(server, "SIGTERM")
        size, end = 0, b""
        while data := client.recv(1 << 20):
            size += len(data)
            end = (end + data)[-100:]
            time.sleep(len(data) / (4 << 20))  # six seconds for the whole answer
    assert size > 24 << 20 and end.endswith(b'"}' if what == "output" else bytes(100))
    assert server.process.wait(20) == 0


def test_a_client_that_reads_nothing_does_not_delay_the_end(start):
    server = start(LARGE, "--runner-shutdown-grace-period", "10m")
    with asked(server):
        stop(server, "SIGTERM")
        assert server.process.wait(60) == 0


def test_a_second_signal_ends_the_grace_period(start):
    server = start(MODEL)
    server.predict({"s": 60}, ASYNC)
    stop(server, "SIGTERM")
    until("it refuses", lambda: server.predict({}).status == 503)
    stop(server, "SIGTERM")
    assert server.process.wait(20) == 0
    assert 'msg="shutting down" predictions=1 grace=20s\n' in server.log()
    assert server.log().count('msg="stopping at once"') == 1


def test_a_first_signal_to_an_idle_server_says_so(start):
    server = start(MODEL, "--runner-shutdown-grace-period", "90")
    stop(server, "SIGTERM")
    assert server.process.wait(20) == 0
    assert 'msg="shutting down" predictions=0 grace=1m30s\n' in server.log()
    assert "stopping at once" not in server.log() and "Ctrl-C" not in server.log()


@pytest.mark.parametrize("how", ["shutdown", "SIGTERM", "SIGINT"])
@pytest.mark.parametrize(
    "source",
    [
        "1/0",
        "import time\nclass Predictor:\n    def setup(self): time.sleep(60)\n    def predict(self) -> str: ...\n",
    ],
)
def test_the_server_ends_in_order_in_every_state(start, source, how):
    server = start(source, ready=False)
    until("there is a state", lambda: server.health()["status"] in ("SETUP_FAILED", "STARTING"))
    stop(server, how)
    assert server.process.wait(20) == 0


def test_await_explicit_shutdown_obeys_sigint_and_the_request_but_not_sigterm(start):
    for how in ("SIGINT", "shutdown"):
        server = start(MODEL, "--await-explicit-shutdown")
        stop(server, "SIGTERM")
        assert server.predict({}).json["output"] == "done"
        stop(server, how)
        assert server.process.wait(20) == 0
