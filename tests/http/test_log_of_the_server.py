"""The log at the default level is enough to explain an incident: docs/operating.md#logs."""

from __future__ import annotations

import json
import os
import pathlib
import re
import signal

import pytest

from http_harness import Server
from model_sources import model_source
from waiting import until

JSON = {"LOG_FORMAT": "json"}
ASYNC = {"Prefer": "respond-async"}

MODEL = model_source("http/log_of_the_server")

ASYNC_MODEL = model_source("http/log_of_the_server_async")

BATCH = """
import cog
class Predictor:
    @cog.batch(max_size=4, max_wait_ms=1)
    def predict(self, actions: list[str]) -> list[str]:
        return [ValueError("boom") if action == "raise" else action for action in actions]
"""


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(MODEL, "--train", "predict.py:train", "--cancel-grace", "30", env=JSON)


def failure(server: Server, msg: str, id: str) -> dict:
    def look() -> dict | None:
        return next((line for line in server.lines(msg) if line["id"] == id), None)

    found = until(f"a line about {id}: {server.log()}", look)
    assert isinstance(found["seconds"], (int, float)) and found["level"] == "WARN"
    return found


def test_a_failed_prediction_is_one_line(server):
    assert server.predict({"action": "raise", "s": 0.2}, id="bad one").json["status"] == "failed"
    line = failure(server, "prediction failed", "bad one")
    assert (line["error"], line["status"]) == ("boom", "failed")
    assert [x for x in server.lines("prediction failed") if x["id"] == "bad one"] == [line]
    assert "input" not in line and "action" not in json.dumps(line)


def test_a_failed_training_is_one_line(server):
    assert server.ask("POST", "/trainings", {"id": "t1", "input": {}}).json["status"] == "failed"
    assert failure(server, "training failed", "t1")["error"] == "no data"


def test_a_prediction_of_replicates_clients_that_fails_is_one_line(server):
    id = server.ask("POST", "/v1/predictions", {"input": {"action": "raise"}}).json["id"]
    assert failure(server, "prediction failed", id)["error"] == "boom"


def test_a_prediction_that_its_deadline_ends_is_one_line(start):
    server = start(MODEL, "--predict-timeout", "0.3", env=JSON)
    server.predict({"s": 60}, id="late")
    line = failure(server, "prediction failed", "late")
    assert line["status"] == "canceled" and "deadline of 300ms" in line["error"]
    assert 0.2 < line["seconds"] < 30


def test_a_logged_error_is_bounded(server):
    server.predict({"action": "long"}, id="long")
    error = failure(server, "prediction failed", "long")["error"]
    assert 400 < len(error.encode()) <= 503 and set(error) == {"é", "…"}


def test_a_cancel_by_the_client_is_not_logged_as_a_failure(server):
    server.predict({"s": 60}, ASYNC, id="given-up")
    server.ask("POST", "/predictions/given-up/cancel")
    assert server.ended("given-up")["status"] == "canceled"
    server.predict({"action": "raise"}, id="after")
    failure(server, "prediction failed", "after")
    assert "given-up" not in [line["id"] for line in server.lines("prediction failed")]


@pytest.mark.parametrize("source", [ASYNC_MODEL, BATCH], ids=["async", "batch"])
def test_a_failed_prediction_of_a_concurrent_model_is_logged(start, source):
    flags = ["--max-concurrency", "4"] if source == ASYNC_MODEL else []
    server = start(source, *flags, env=JSON)
    server.predict({"action": "raise"} if source == ASYNC_MODEL else {"actions": "raise"}, id="bad")
    assert "boom" in failure(server, "prediction failed", "bad")["error"]


def test_a_storm_of_failures_is_bounded(start):
    server = start(MODEL, env=JSON)
    for _ in range(130):
        server.predict({"action": "raise"})
    server.process.send_signal(signal.SIGINT)
    server.process.wait(20)
    (more,) = server.lines("more predictions failed")
    told = len(server.lines("prediction failed"))
    assert told + more["count"] == 130 and told == 100
    assert re.fullmatch(r"[0-9.]+m?s", more["period"])


def test_a_dead_runner_is_one_line_with_the_predictions_that_died_with_it(start):
    server = start(ASYNC_MODEL, "--max-concurrency", "4", env=JSON)
    for id in ("b", "a", "c"):
        server.predict({"s": 60}, ASYNC, id=id)
    server.predict({"action": "die"}, id="killer")
    line = server.line("runner ended")
    assert line["predictions"] == ["a", "b", "c", "killer"] and line["failed"] == 4
    assert line["exit"] == "signal 9 (killed, out of memory?)"
    until("it is started again", lambda: len(server.lines("runner started")) == 2)
    server.wait_status("READY")


def test_the_exit_of_a_runner_is_logged_with_its_status(start):
    server = start(MODEL, "--max-restarts", "0", env=JSON, expect_exit=1)
    server.predict({"action": "exit"}, id="x")
    line = server.line("runner ended")  # even if none is started again
    assert line["exit"] == "exit status 7" and line["predictions"] == ["x"]
    assert server.process.wait(20) == 1


@pytest.mark.parametrize(
    ("source", "flags"),
    [(MODEL, []), (ASYNC_MODEL, ["--max-concurrency", "2"])],
    ids=["sync", "async"],
)
def test_a_runner_killed_by_the_server_is_not_reported_as_out_of_memory(start, source, flags):
    server = start(source, "--cancel-grace", "0.3", *flags, env=JSON)
    if flags:  # the other one runs to its end
        server.predict({"s": 1}, ASYNC, id="other")
    server.predict({"action": "stubborn", "s": 60}, ASYNC, id="stuck")
    until("it ignores the cancel", lambda: "ignores cancels" in server.log())
    server.ask("POST", "/predictions/stuck/cancel")
    line = server.line("runner ended")
    assert (
        line["exit"]
        == "signal 9 (killed by the server: it went on with stuck for 300ms after the cancel)"
    )
    assert line["failed"] == 0
    assert server.line("prediction ignored its cancel")["grace"] == "300ms"
    assert "memory" not in server.log()
    server.wait_status("READY")


def test_a_setup_timeout_is_not_reported_as_out_of_memory(start):
    model = "import time\nclass Predictor:\n    def setup(self): time.sleep(60)\n    def predict(self) -> str: return ''\n"
    server = start(model, "--setup-timeout", "0.3", env=JSON, ready=False)
    assert server.line("no runner")["error"] == "setup timed out after 300ms"
    assert "memory" not in server.log()


def test_durations_are_text(start):
    server = start(MODEL, env=JSON)
    assert re.fullmatch(r"[0-9.]+m?s", server.line("model ready")["setup"])


def test_a_webhook_that_is_given_up_names_its_attempts(start, receiver):
    receiver.answer = lambda n: 404
    server = start(MODEL, env=JSON)
    server.predict(
        {}, webhook=receiver.url + "?key=secret", webhook_events_filter=["completed"], id="told"
    )
    line = server.line("webhook given up")
    host = receiver.url.split("/")[2]
    assert (line["id"], line["host"], line["attempts"]) == ("told", host, 1)
    assert "404" in line["error"] and "secret" not in server.log()


def test_undelivered_webhooks_are_named(start, receiver, tmp_path):
    receiver.answer = lambda n: 503
    server = start(MODEL, "--working-dir", str(tmp_path / "dir"), env=JSON)
    server.predict({}, webhook=receiver.url, webhook_events_filter=["completed"], id="owed")
    receiver.wait(1)
    for _ in range(2):  # with a second signal
        os.kill(server.process.pid, signal.SIGINT)
        until("the shutdown has begun", lambda: server.lines("shutting down"))
    server.process.wait(20)
    line = server.line("webhook left undelivered")
    assert (line["id"], line["host"]) == ("owed", receiver.url.split("/")[2]) and line[
        "attempts"
    ] >= 1


def test_without_webhooks_no_line_is_about_webhooks(start):
    server = start(MODEL, env=JSON)
    server.predict({"s": 60}, ASYNC)
    for _ in range(2):
        os.kill(server.process.pid, signal.SIGINT)
        until("the shutdown has begun", lambda: server.lines("shutting down"))
    server.process.wait(20)
    assert server.lines("stopped") and "webhook" not in server.log()


def refused(server: Server, reason: str) -> list[dict]:
    return [line for line in server.lines("refused") if line["reason"] == reason]


@pytest.fixture(scope="module")
def guarded(start_once, tmp_path_factory):
    token = tmp_path_factory.mktemp("token") / "token"
    token.write_text("of-this-server")
    return start_once(MODEL, "--auth-token-file", str(token), "--max-body", "1000", env=JSON)


OURS = {"Authorization": "Bearer of-this-server"}


@pytest.mark.parametrize(
    ("request_", "reason", "status"),
    [
        (
            ("POST", "/predictions?key=secret", {}, {"Authorization": "Bearer wrong-one"}),
            "unauthorized",
            401,
        ),
        (("POST", "/predictions?key=secret", {"input": {"s": "wrong-one"}}, OURS), "invalid", 422),
        (
            ("POST", "/v1/predictions?key=secret", {"input": {"s": "wrong-one"}}, OURS),
            "invalid",
            422,
        ),
        (("PUT", "/predictions/x?key=secret", "wrong-one {", OURS), "malformed", 400),
        (("POST", "/predictions?key=secret", "x" * 2000, OURS), "too_large", 413),
        (
            ("POST", "/predictions?key=secret", {}, {**OURS, "Origin": "http://wrong-one.example"}),
            "forbidden",
            403,
        ),
        (
            ("POST", "/predictions?key=secret", {}, {**OURS, "Accept": "text/event-stream"}),
            "not_acceptable",
            406,
        ),
        (("GET", "/predictions/nobody?key=secret", None, OURS), "not_found", 404),
    ],
)
def test_a_refusal_is_logged(guarded, request_, reason, status):
    method, path, body, headers = request_
    assert guarded.ask(method, path, body, **headers).status == status
    until("it is logged", lambda: refused(guarded, reason))
    (line,) = refused(guarded, reason)
    assert line["status"] == status and line["client"] == "127.0.0.1" and line["level"] == "WARN"
    assert line["path"] in (
        "/predictions",
        "/v1/predictions",
        "/predictions/x",
        "/predictions/nobody",
    )
    log = guarded.log()
    assert "secret" not in log and "wrong-one" not in log and "of-this-server" not in log


def test_refusals_are_counted_and_not_logged_one_by_one(start):
    server = start(MODEL, env=JSON)
    server.predict({"s": 60}, ASYNC, id="busy")
    for _ in range(13):
        assert server.predict({}).status == 409
    for n in range(4):
        assert server.predict({"s": "x"}, id=f"bad-{n}").status == 422
    for _ in range(2):
        os.kill(server.process.pid, signal.SIGINT)
        until("the shutdown has begun", lambda: server.lines("shutting down"))
    server.process.wait(20)
    assert len(refused(server, "busy")) == len(refused(server, "invalid")) == 1
    more = {line["reason"]: line for line in server.lines("refused more")}
    assert (more["busy"]["count"], more["busy"]["status"], more["invalid"]["count"]) == (12, 409, 3)
    assert re.fullmatch(r"[0-9.]+m?s", more["busy"]["period"])


def test_requests_of_scanners_are_not_logged(server):
    assert server.get("/wp-login.php").status == 404
    assert server.ask("PUT", "/predictions").status == 405
    assert server.get("/predictions/not-there").status == 404
    until("the last one is logged", lambda: refused(server, "not_found"))
    assert "wp-login" not in server.log() and not refused(server, "method_not_allowed")


def test_an_accepted_prediction_is_not_logged(start):
    server = start(MODEL, env=JSON)
    server.predict({}, id="fine")
    assert "fine" not in server.log()


def documented() -> dict[str, set[str]]:
    """The lines of the table in the docs, with their keys."""
    text = (pathlib.Path(__file__).parents[2] / "docs" / "operating.md").read_text()
    rows = re.findall(
        r"^\| (`[^|]+) \|([^|]*)\| .*\|$", text.split("\n## Logs\n")[1].split("\n### ")[0], re.M
    )
    return {
        line: set(re.findall(r"`(\w+)`", keys))
        for lines, keys in rows
        for line in re.findall(r"`([^`]+)`", lines)
    }


def test_each_line_is_in_the_docs_with_its_keys(start, receiver):
    receiver.answer = lambda n: 404
    server = start(
        MODEL, "--access-log", "--cancel-grace", "0.1", "--train", "predict.py:train", env=JSON
    )
    told = {"webhook": receiver.url, "webhook_events_filter": ["completed"]}
    server.predict({"action": "raise"}, id="a", **told)
    server.ask("POST", "/trainings", {"input": {}})
    server.predict({"s": "no number"})
    server.predict({"s": "no number"})
    server.predict({"action": "stubborn", "s": 60}, ASYNC, id="b")
    until("it ignores the cancel", lambda: "ignores cancels" in server.log())
    server.ask("POST", "/predictions/b/cancel")
    until("it is started again", lambda: len(server.lines("model ready")) == 2)
    server.line("webhook given up")
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(20) == 0
    docs = documented()
    seen = [json.loads(line) for line in server.log().splitlines() if '"stream":' not in line]
    for line in seen:
        keys = set(line) - {"time", "level", "msg"}
        assert keys <= docs.get(line["msg"], {"not in the table"}), line
    rare = {
        "recovered",
        "no runner",
        "webhook left undelivered",
        "predictions left to the next server",
        "stopping at once",
        "runner ended while the server ends",
    }
    rare |= {name for name in docs if name.startswith("more ")}
    assert {line["msg"] for line in seen} == set(docs) - rare
