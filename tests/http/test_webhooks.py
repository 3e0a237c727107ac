"""Webhooks: docs/http-api.md#webhooks."""

from __future__ import annotations

import contextlib
import itertools
import pathlib
import signal
import socket
import threading
import time

import pytest
from standardwebhooks import Webhook

from http_harness import Receiver, Reply
from model_sources import model_source
from servers import measures_memory
from waiting import until

MODEL = model_source("http/webhooks")


@pytest.fixture(scope="module")
def server(start_once):
    started = start_once(MODEL, env={"WEBHOOK_AUTH_TOKEN": "t0ken"})
    yield started
    started.close_in_a_hurry()  # some of these tests leave webhooks that nobody accepts


ASYNC = {"Prefer": "respond-async"}


def test_the_order_of_events_and_their_contents(server, receiver):
    answer = server.predict({"n": 4, "pause": 0.3}, webhook=receiver.url)
    receiver.wait_terminal()
    first, *partial, last = receiver.got
    assert first["status"] == "processing" and first["output"] is None and first["logs"] == ""
    assert last == answer.json and last["output"] == ["0", "1", "2", "3"]
    assert partial and all(body["status"] == "processing" for body in partial)
    outputs = [body["output"] or [] for body in partial]
    assert outputs == sorted(outputs, key=len), "outputs are cumulative"
    assert len(partial) <= 5, "throttled"


@pytest.mark.parametrize(
    ("events", "want"),
    [
        (["completed"], {"succeeded"}),
        (["start"], {"processing"}),
        (["start", "completed"], {"processing", "succeeded"}),
        ([], set()),
    ],
)
def test_the_filter_selects_events(server, receiver, events, want):
    server.predict({}, id="asked", webhook=receiver.url, webhook_events_filter=events)
    server.predict({}, id="later", webhook=receiver.url, webhook_events_filter=["completed"])

    def statuses(of):
        return [body["status"] for body in receiver.got if body["id"] == of]

    # The order is kept within one prediction; those of another may overtake.
    until("both have come", lambda: statuses("later") and set(statuses("asked")) >= want)
    assert sorted(statuses("asked")) == sorted(want)


def test_the_last_partial_state_is_sent_when_the_interval_ends(server, receiver):
    server.predict(
        {"n": 2, "pause": 1.2}, ASYNC, webhook=receiver.url, webhook_events_filter=["output"]
    )
    until(
        "the second item came by itself",
        lambda: any(b["output"] == ["0", "1"] for b in receiver.got),
    )
    until("it has ended", lambda: server.health()["status"] == "READY")


@pytest.fixture(scope="module")
def unthrottled(start_once):
    return start_once(MODEL, env={"COG_THROTTLE_RESPONSE_INTERVAL": "0"})


@pytest.mark.parametrize("pause", [0, 0.02])
def test_without_a_throttle_each_item_is_sent(unthrottled, receiver, pause):
    unthrottled.predict(
        {"n": 5, "pause": pause},
        webhook=receiver.url,
        webhook_events_filter=["output", "completed"],
    )
    receiver.wait_terminal()
    *partial, last = [body["output"] for body in receiver.got]
    assert [len(output) for output in partial] == [1, 2, 3, 4, 5] and last == partial[-1]


def test_a_long_throttle_sends_only_the_first_and_last_updates(start, receiver):
    server = start(MODEL, env={"COG_THROTTLE_RESPONSE_INTERVAL": "60"})
    server.predict({"n": 20, "pause": 0.02}, webhook=receiver.url)
    receiver.wait_terminal()
    assert receiver.statuses() == ["processing", "processing", "succeeded"], (
        "start, the leading edge, the end"
    )


def test_a_receiver_of_output_only_gets_the_last_item(server, receiver):
    server.predict({"n": 4}, webhook=receiver.url, webhook_events_filter=["output"])
    until(
        "the last item was sent",
        lambda: receiver.got and receiver.got[-1]["output"] == ["0", "1", "2", "3"],
    )
    assert set(receiver.statuses()) == {"processing"}


def test_logs_are_sent_when_they_grow(server, receiver):
    server.predict(
        {"n": 2, "pause": 0.8}, ASYNC, webhook=receiver.url, webhook_events_filter=["logs"]
    )
    until(
        "the second line came",
        lambda: receiver.got and receiver.got[-1]["logs"] == "line 0\nline 1\n",
    )
    assert set(receiver.statuses()) == {"processing"}
    server.wait_status("READY")


def test_no_event_is_sent_before_the_start(server, receiver):
    server.predict({"unknown": 1}, webhook=receiver.url)
    receiver.wait_terminal()
    assert (receiver.got[0]["status"], receiver.got[0]["output"]) == ("processing", None)
    assert "unknown" in receiver.got[-1]["logs"]


@pytest.mark.parametrize(("end", "status"), [("raise", "failed"), ("die", "failed")])
def test_completed_comes_once_however_it_ends(server, receiver, end, status):
    server.wait_status("READY")
    server.predict({"end": end}, webhook=receiver.url)
    last = receiver.wait_terminal()
    assert (
        last["status"] == status
        and last["error"]
        and last["output"] == ["0", "1", "2"]
        and "line 2" in last["logs"]
    )
    server.wait_status("READY")
    server.predict({}, id="later", webhook=receiver.url)
    until(
        "a later one has come",
        lambda: any(b["id"] == "later" and b["status"] == "succeeded" for b in receiver.got),
    )
    ours = [b["status"] for b in receiver.got if b["id"] != "later"]
    assert [s for s in ours if s != "processing"] == [status] and ours[-1] == status


VALUE = """
from typing import Any, List
from cog import BasePredictor
class Predictor(BasePredictor):
    def predict(self, value: str = "one") -> Any:
        return {"one": "one", "list": [1], "none": None, "zero": 0, "empty": ""}[value]
"""


@pytest.fixture(scope="module")
def value(start_once):
    return start_once(VALUE)


@pytest.mark.parametrize(
    ("name", "want"), [("one", "one"), ("list", [1]), ("zero", 0), ("empty", "")]
)
@pytest.mark.parametrize("event", ["output", "completed"])
def test_a_single_value_is_sent_as_itself(value, receiver, event, name, want):
    value.predict({"value": name}, webhook=receiver.url, webhook_events_filter=[event])
    receiver.wait(1)
    (got,) = receiver.got
    assert got["output"] == want and type(got["output"]) is type(want)
    assert got["status"] == ("succeeded" if event == "completed" else "processing")


def test_a_webhook_has_these_headers(server, receiver):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    server.predict({}, {"traceparent": trace, "tracestate": "a=b"}, webhook=receiver.url)
    receiver.wait_terminal()
    for headers in receiver.headers:
        assert headers["content-type"] == "application/json"
        assert headers["user-agent"].startswith("coggo/")
        assert headers["authorization"] == "Bearer t0ken"
        assert (headers["traceparent"], headers["tracestate"]) == (trace, "a=b")


#: Flags, and whether a receiver on 127.0.0.1 gets the token.
NAMED = [
    ([], True),
    (["--webhook-auth-host", "*"], True),
    (["--webhook-auth-host", "hooks.example.com", "--webhook-auth-host", "127.0.0.1"], True),
    (["--webhook-auth-host", "hooks.example.com,127.0.0.1"], True),
    (["--webhook-auth-host=hooks.example.com"], False),
    (["--webhook-auth-host", "127.0.0.1:1"], False),
]


@pytest.mark.parametrize(("flags", "told"), NAMED)
def test_the_token_goes_to_the_named_hosts(start, receiver, flags, told):
    env = {
        "WEBHOOK_AUTH_TOKEN": "t0ken",
        "COGGO_WEBHOOK_SECRET": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    }
    server = start(MODEL, *flags, env=env)
    server.predict({}, ASYNC, webhook=receiver.url)
    receiver.wait_terminal()
    assert all(("t0ken" in str(headers)) == told for headers in receiver.headers)
    assert all("webhook-signature" in headers for headers in receiver.headers)
    assert server.log().count("--webhook-auth-host") == (0 if flags else 1), "there is one warning"


def test_without_a_token_there_is_no_warning(start):
    assert "--webhook-auth-host" not in start(MODEL).log()


def test_a_redirect_takes_the_token_to_no_other_host(server, receiver):
    with contextlib.closing(Receiver()) as other:  # on the same address with another port
        receiver.answer = lambda n: Reply(307, {"Location": other.url, "Content-Length": "0"})
        server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"])
        other.wait_terminal()
        assert receiver.headers[0]["authorization"] == "Bearer t0ken"
        assert "authorization" not in other.headers[0]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, None])
def test_the_completed_event_is_retried(server, receiver, status):
    receiver.answer = lambda n: status if n < 3 else 200
    server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"])
    receiver.wait(3)
    assert receiver.got[0] == receiver.got[2]


@pytest.mark.parametrize("status", [400, 401, 404, 410, 501])
def test_a_refusal_is_final(server, receiver, status):
    receiver.answer = lambda n: status
    server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"])
    receiver.wait(1)
    time.sleep(0.5)  # there is nothing to wait for, because it must not come
    assert len(receiver.got) == 1


def test_partial_events_are_not_retried(server, receiver):
    receiver.answer = lambda n: 500 if n == 1 else 200
    server.predict({}, webhook=receiver.url, webhook_events_filter=["start", "completed"])
    receiver.wait_terminal()
    assert receiver.statuses() == ["processing", "succeeded"]


def test_a_receiver_that_hangs_delays_nothing(server, receiver):
    release = threading.Event()
    receiver.answer = lambda n: (release.wait(30), 200)[1]
    for n in range(5):
        assert server.predict({}, webhook=receiver.url, id=f"hang{n}").json["status"] == "succeeded"
        assert server.health()["status"] == "READY"
    server.predict({"n": 1, "pause": 60}, ASYNC, webhook=receiver.url, id="canceled")
    assert server.ask("POST", "/predictions/canceled/cancel").status == 200
    assert server.ended("canceled")["status"] == "canceled"
    release.set()
    until(
        "the receiver has every end",
        lambda: len([b for b in receiver.got if b["status"] != "processing"]) == 6,
    )


def test_a_receiver_that_refuses_connections_delays_nothing(server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    for _ in range(3):
        assert server.predict({}, webhook=f"http://127.0.0.1:{port}/").json["status"] == "succeeded"
    assert server.health()["status"] == "READY"


def test_many_predictions_with_a_receiver_that_often_fails(start, receiver):
    server = start(
        "class Predictor:\n    async def predict(self, n: int) -> int:\n        return n\n",
        "--max-concurrency",
        "64",
    )
    receiver.answer = lambda n: 503 if n % 3 == 0 else 200
    accepted = []
    for n in range(300):
        if (
            server.predict(
                {"n": n},
                ASYNC,
                id=f"p{n}",
                webhook=receiver.url,
                webhook_events_filter=["completed"],
            ).status
            == 202
        ):
            accepted.append(f"p{n}")
    until("the receiver has each end", lambda: {b["id"] for b in receiver.got} >= set(accepted), 30)
    refused = [n for n in range(1, len(receiver.got) + 1) if n % 3 == 0]
    until(
        "each refused attempt was repeated",
        lambda: len(receiver.got) >= len(accepted) + len(refused),
        30,
    )
    for body in receiver.got:
        assert body["status"] == "succeeded" and body["id"] == f"p{body['output']}"


def test_a_partial_update_never_has_a_terminal_status(unthrottled, receiver):
    for n in range(60):
        unthrottled.predict({"n": 3}, webhook=receiver.url, id=f"p{n}")
    until(
        "the receiver has every end",
        lambda: sum(b["status"] == "succeeded" for b in receiver.got) == 60,
    )
    by_id = itertools.groupby(
        sorted(receiver.got, key=lambda b: int(b["id"][1:])), key=lambda b: b["id"]
    )
    for id, bodies in by_id:
        statuses = [body["status"] for body in bodies]
        assert statuses[-1] == "succeeded" and set(statuses[:-1]) == {"processing"}, (id, statuses)


@pytest.mark.parametrize("status", [301, 302, 303])
def test_a_redirect_that_drops_the_body_is_a_refusal(server, receiver, status):
    receiver.answer = lambda n: Reply(
        status, {"Location": receiver.url + "/moved", "Content-Length": "0"}
    )
    server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"])
    server.predict({}, id="later", webhook=receiver.url, webhook_events_filter=["completed"])
    until("both have come", lambda: len(receiver.got) >= 2)
    assert receiver.paths == ["/hook", "/hook"]


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_that_keeps_the_body_is_followed(server, receiver, status):
    def answer(n):
        if receiver.paths[n - 1] == "/hook":
            return Reply(status, {"Location": receiver.url + "/moved", "Content-Length": "0"})
        return 200

    receiver.answer = answer
    server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"])
    receiver.wait(2)
    assert receiver.paths == ["/hook", "/hook/moved"] and receiver.bodies[0] == receiver.bodies[1]


def endless():
    while True:
        yield b"x" * 65536


@pytest.mark.parametrize("body", ["endless", "broken"])
def test_a_broken_answer_of_a_receiver_delays_nothing(server, receiver, body):
    replies = {
        "endless": Reply(200, {}, endless()),
        "broken": Reply(200, {"Content-Length": "100"}, [b"half"]),
    }
    receiver.answer = lambda n: replies[body]
    for n in range(3):
        assert (
            server.predict({}, webhook=receiver.url, id=f"{body}{n}").json["status"] == "succeeded"
        )
    until(
        "the receiver has every end",
        lambda: sum(b["status"] == "succeeded" for b in receiver.got) == 3,
    )
    assert server.health()["status"] == "READY"


def test_a_receiver_that_is_down_costs_no_memory(start):
    server = start(
        "class Predictor:\n    def predict(self, size: int) -> str:\n        return 'x' * size\n",
        "--retain",
        "0",
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        hook = f"http://127.0.0.1:{free.getsockname()[1]}/"
    server.predict({"size": 1}, webhook=hook)
    for _ in range(40):
        assert server.predict({"size": 4 << 20}, webhook=hook).json["status"] == "succeeded"
    status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    assert int(status.split("VmRSS:")[1].split()[0]) < 400 << 10, (
        "40 results of 4 MiB wait, with one copy each"
    )
    server.close_in_a_hurry()


@measures_memory
@pytest.mark.parametrize("durable", [False, True])
def test_webhooks_for_a_hanging_receiver_are_not_in_memory(start, receiver, tmp_path, durable):
    flags = ["--working-dir", str(tmp_path / "dir")] if durable else []
    server = start(
        "class Predictor:\n    def predict(self, n: int) -> str:\n        return chr(97 + n % 26) * (1 << 20)\n",
        "--retain",
        "0",
        *flags,
    )
    answers = threading.Event()
    receiver.answer = lambda n: 200 if answers.wait(60) else 500
    before = server.memory()
    for n in range(120):
        server.predict(
            {"n": n},
            {"Prefer": "wait=20"},
            id=f"p{n}",
            webhook=receiver.url,
            webhook_events_filter=["completed"],
        )
    grown = server.memory() - before
    assert grown < 100 << 20, f"120 results of 1 MiB made the server grow by {grown >> 20} MiB"
    answers.set()
    until(
        "the receiver has every end", lambda: len({body["id"] for body in receiver.got}) == 120, 60
    )
    assert all(
        body["output"] == chr(97 + int(body["id"][1:]) % 26) * (1 << 20) for body in receiver.got
    )


def test_a_prediction_that_runs_at_shutdown_sends_its_webhook(start, receiver):
    server = start(MODEL, "--runner-shutdown-grace-period", "0.2")
    server.predict(
        {"n": 2, "pause": 60},
        ASYNC,
        id="long",
        webhook=receiver.url,
        webhook_events_filter=["completed"],
    )
    until("it runs", lambda: server.get("/predictions/long").json["output"])
    assert server.ask("POST", "/shutdown").status == 200
    assert server.process.wait(20) == 0
    (body,) = receiver.got
    assert (body["status"], body["output"]) == ("failed", ["0"]) and "shut" in body["error"]


def test_a_receiver_that_hangs_does_not_delay_a_second_signal(start, receiver):
    release = threading.Event()
    receiver.answer = lambda n: (release.wait(60), 200)[1]
    server = start(MODEL, "--runner-shutdown-grace-period", "1")
    server.predict({}, webhook=receiver.url)
    receiver.wait(1)
    server.ask("POST", "/shutdown")
    server.process.send_signal(signal.SIGINT)  # the second signal
    assert server.process.wait(20) == 0
    release.set()


SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.mark.parametrize("how", ["flag", "environment"])
def test_webhooks_are_signed_as_the_specification_says(start, receiver, how):
    flags = ["--webhook-secret", SECRET] if how == "flag" else []
    server = start(MODEL, *flags, env={} if flags else {"COGGO_WEBHOOK_SECRET": SECRET})
    receiver.answer = lambda n: (
        503 if receiver.got[n - 1]["status"] == "succeeded" and n < 6 else 200
    )
    server.predict({"n": 1}, id="é \n", webhook=receiver.url)
    until("the end was sent again", lambda: receiver.statuses().count("succeeded") >= 2)
    ids = {}
    for headers, body in zip(receiver.headers, receiver.bodies):
        assert Webhook(SECRET).verify(body.decode(), headers)["id"] == "é \n"
        ids.setdefault(body, set()).add(headers["webhook-id"])
        with pytest.raises(Exception, match="No matching signature"):
            Webhook("whsec_" + "A" * 32).verify(body.decode(), headers)
    assert all(len(of_one) == 1 for of_one in ids.values()), "attempts at one message have one id"
    assert len(ids) == len(set.union(*ids.values())), "messages have different ids"


def test_a_line_break_at_the_end_of_a_secret_is_not_a_part_of_it(start, receiver):
    server = start(
        MODEL, env={"COGGO_WEBHOOK_SECRET": SECRET + "\n", "WEBHOOK_AUTH_TOKEN": "token\r\n"}
    )
    server.predict({"n": 1}, webhook=receiver.url)
    receiver.wait_terminal()
    for headers, body in zip(receiver.headers, receiver.bodies):
        assert Webhook(SECRET).verify(body.decode(), headers)
        assert headers["authorization"] == "Bearer token"


def test_webhooks_are_not_signed_without_a_secret(server, receiver):
    server.predict({}, webhook=receiver.url)
    receiver.wait_terminal()
    assert not any(name.startswith("webhook-") for headers in receiver.headers for name in headers)
