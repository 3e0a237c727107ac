"""A restarted server still has the bytes that the client sent: a repeated PUT does not run again,
and a webhook sent again has the same body.
"""

from __future__ import annotations

import base64
import json
import os
import pathlib
import signal
from typing import Any

import pytest

from faults_models import ASYNC
from http_harness import Server
from model_sources import model_source
from waiting import until

MODEL = model_source("faults/recovery_byte_for_byte")
SIGNED = ("--webhook-secret", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
FILE = "data:text/plain;base64," + base64.b64encode(b"a file").decode()

#: Inputs as clients spell them.
INPUTS = {
    "plain": '{"text": "plain"}',
    "spaces": '{ "text" :\t"a  b" ,\n "n": 1e0 }',
    "html": '{"text": "you & <me>"}',
    "separators": '{"text": "line\u2028paragraph\u2029"}',
    "escapes": '{"text": "\\u003cb\\u003e \\u2028 \\/ \\ud83d\\ude00"}',
    "number": '{"n": 1.10}',
    "secret": '{"text": "a & b", "key": "hunter2"}',
    "same secrets": '{"key": "**********", "text": "x"}',
    "file": f'{{"text": "f", "image": "{FILE}"}}',
    "secret and file": f'{{"image": "{FILE}", "key": "hunter2"}}',
    "large": json.dumps({"text": "x<" * (1 << 20), "key": "hunter2"}),
    "nothing": "",
}


@pytest.fixture
def serve(start, tmp_path):
    """Starts a server with the same model on the same directory each time."""

    def made(*flags: str, **options: Any) -> Server:
        return start(
            MODEL, "--working-dir", str(tmp_path / "spool"), *flags, model_dir=tmp_path, **options
        )

    return made


def put(server: Server, input: str, what: str = "predictions", **envelope: Any) -> Any:
    """PUT the unchanged input in an envelope."""
    body = json.dumps(envelope)[1:-1]
    members = ", ".join(part for part in (body, f'"input": {input}' if input else "") if part)
    headers = {"Content-Type": "application/json", **(ASYNC if envelope.get("webhook") else {})}
    answer = server.ask("PUT", f"/{what}/it", "{" + members + "}", **headers)
    assert answer.status in (200, 202), answer
    return answer.json


def runs(server: Server) -> int:
    return (pathlib.Path(server.process.args[-1]) / "runs").read_text().count("run")


@pytest.mark.parametrize("end", ["killed", "stopped"])
@pytest.mark.parametrize("what", INPUTS)
def test_a_put_repeated_after_a_restart_runs_once(serve, what, end):
    first = serve()
    once = put(first, INPUTS[what])
    assert once["status"] == "succeeded"
    if end == "killed":
        first.kill()
    else:
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(30) == 0
    second = serve()
    assert put(second, INPUTS[what]) == once and runs(second) == 1
    second.kill()
    third = serve()
    assert put(third, INPUTS[what]) == once and runs(third) == 1, "nor with the server after that"


def test_a_put_with_another_input_runs_again_even_if_only_a_secret_differs(serve):
    first = serve()
    for server in (first, None):
        server = server or serve()
        for n, key in enumerate(("hunter2", "hunter3", "**********")):
            before = 0 if server is first and n == 0 else runs(server)
            assert put(server, f'{{"key": "{key}"}}')["status"] == "succeeded"
            assert runs(server) == before + 1
        server.kill()


def test_white_space_and_the_order_of_members_do_not_cause_another_run_after_a_restart(serve):
    first = serve()
    once = put(first, '{"text": "a", "key": "hunter2", "n": 1}')
    first.kill()
    second = serve()
    assert put(second, '{ "n":1,"key" : "hunter2",\n"text": "a" }') == once and runs(second) == 1
    put(second, '{"text": "a", "key": "hunter2", "n": 1.0}')
    assert runs(second) == 2, "a number in another spelling is another input, as without a restart"


def test_a_training_repeated_after_a_restart_runs_once(serve):
    first = serve()
    once = put(first, '{"text": "<a>", "key": "hunter2"}', "trainings")
    first.kill()
    second = serve()
    assert (
        put(second, '{"text": "<a>", "key": "hunter2"}', "trainings") == once and runs(second) == 1
    )


def test_no_secret_outlives_its_prediction_and_its_files_are_private(serve, receiver, tmp_path):
    receiver.answer = lambda n: 503
    first = serve()
    put(first, INPUTS["secret"], webhook=receiver.url)
    first.ended("it")
    first.kill()
    files = [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    assert {path.parent.name for path in files} >= {"results", "outbox"}
    for path in files:
        assert b"hunter2" not in path.read_bytes() and path.stat().st_mode & 0o077 == 0, path


@pytest.mark.parametrize("recover", ["fail", "rerun"])
@pytest.mark.parametrize("what", ["secret", "html", "escapes", "secret and file"])
def test_a_put_that_was_in_flight_fails_or_runs_once_more(serve, tmp_path, what, recover):
    gate = tmp_path / "gate"
    input = INPUTS[what][:-1] + f', "gate": "{gate}"}}'
    first = serve()
    first.ask(
        "PUT", "/predictions/it", f'{{"input": {input}}}', Content_Type="application/json", **ASYNC
    )
    until("it runs", lambda: (tmp_path / "runs").exists() and runs(first))
    first.kill()
    gate.touch()
    second = serve("--recover", recover, ready=False)
    end = second.ended("it")
    assert end["status"] == ("failed" if recover == "fail" else "succeeded")
    assert end["input"] == {
        **json.loads(input),
        **({"key": "**********"} if "key" in input else {}),
    }
    second.wait_status("READY")
    assert put(second, input) == end and runs(second) == (1 if recover == "fail" else 2)


@pytest.mark.parametrize("what", INPUTS)
def test_a_webhook_sent_again_after_a_crash_has_the_same_body(serve, receiver, what):
    receiver.answer = lambda n: 503
    first = serve(*SIGNED)
    put(first, INPUTS[what], webhook=receiver.url, webhook_events_filter=["completed"])
    receiver.wait_terminal()
    first.kill()
    before = len(receiver.bodies)
    shown = serve(*SIGNED).get("/predictions/it").body
    until("it came again", lambda: len(receiver.bodies) > before)
    receiver.answer = lambda n: 200
    assert set(receiver.bodies) == {receiver.bodies[0]} == {shown}
    assert len({headers["webhook-id"] for headers in receiver.headers}) == 1


def test_a_webhook_of_v1_sent_again_after_a_crash_has_the_same_body(serve, receiver):
    receiver.answer = lambda n: 503
    first = serve(*SIGNED)
    body = f'{{"input": {INPUTS["escapes"]}, "webhook": "{receiver.url}?a=1&b=<2>", "webhook_events_filter": ["completed"]}}'
    made = first.ask("POST", "/v1/predictions", body, Content_Type="application/json")
    receiver.wait_terminal()
    shown = first.get(f"/v1/predictions/{made.json['id']}").body
    first.kill()
    before = len(receiver.bodies)
    second = serve(*SIGNED)
    until("it came again", lambda: len(receiver.bodies) > before)
    receiver.answer = lambda n: 200
    assert set(receiver.bodies) == {receiver.bodies[0]} and len(set(receiver.paths)) == 1
    assert len({headers["webhook-id"] for headers in receiver.headers}) == 1
    assert second.get(f"/v1/predictions/{made.json['id']}").body == shown


def test_a_result_is_found_after_the_key_was_removed(serve, tmp_path):
    """The server can't tell whether the input is the same, so it runs again, with a new key for the
    next time.
    """
    first = serve()
    put(first, INPUTS["secret"])
    first.kill()
    os.unlink(tmp_path / "spool" / "key")
    second = serve()
    assert second.get("/predictions/it").json["status"] == "succeeded"
    put(second, INPUTS["secret"])
    assert runs(second) == 2
    second.kill()
    third = serve()
    put(third, INPUTS["secret"])
    assert runs(third) == 2
