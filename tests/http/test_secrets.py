"""Only the model sees secret inputs: docs/security.md."""

from __future__ import annotations

import json
import stat

import pytest

from http_events import Stream
from model_sources import model_source
from waiting import until

HUSH = "hush-hush-4711"
STARS = "**********"

MODEL = model_source("http/secrets")


@pytest.fixture(scope="module")
def server(start_once, tmp_path_factory):
    made = start_once(
        MODEL, "--working-dir", str(tmp_path_factory.mktemp("spool")), "--log-level", "debug"
    )
    yield made
    assert HUSH not in made.log(), "the server's own log shows the secret"


def test_the_schema_marks_secrets_and_hides_their_defaults(server):
    document = server.get("/openapi.json")
    field = document.json["components"]["schemas"]["Input"]["properties"]["token"]
    assert (field["format"], field["x-cog-secret"], field["type"]) == ("password", True, "string")
    assert field["writeOnly"] is True
    assert b"built in" not in document.body


@pytest.mark.parametrize("end", ["", "raise"])
def test_a_secret_is_masked_in_the_answer_the_logs_and_the_webhooks(server, receiver, end):
    answer = server.predict({"token": HUSH, "other": HUSH, "end": end}, webhook=receiver.url)
    assert answer.json["output"][0] == str(len(HUSH)), "the model got it"
    assert answer.json["input"] == {"token": STARS, "other": STARS, "end": end}
    assert HUSH.encode() not in answer.body
    assert answer.json["logs"].startswith(f"token is {STARS} ")
    receiver.wait_terminal()
    assert all(body["input"]["token"] == STARS for body in receiver.got)
    assert not any(HUSH.encode() in body for body in receiver.bodies)


def test_a_secret_is_masked_during_the_run_and_in_the_answer_to_a_repeated_put(server):
    asked = {"input": {"token": HUSH, "end": "hang"}}
    first = server.ask("PUT", "/predictions/masked", asked, Prefer="respond-async")
    again = server.ask("PUT", "/predictions/masked", asked)
    assert (first.status, again.status) == (202, 202)
    until("it has yielded", lambda: server.get("/predictions/masked").json["output"])
    shown = [
        first,
        again,
        server.get("/predictions/masked"),
        server.get("/predictions"),
        server.get("/v1/predictions"),
    ]
    server.ask("POST", "/predictions/masked/cancel")
    server.ended("masked")
    shown.append(server.get("/predictions/masked"))
    for answer in shown:
        assert HUSH.encode() not in answer.body
        assert STARS.encode() in answer.body


def test_a_secret_is_masked_in_streams(server):
    body = {"id": "streamed", "input": {"token": HUSH}}
    with Stream(server.port, "POST", "/predictions", body) as stream:
        live = list(stream)
    with Stream(server.port, "GET", "/predictions/streamed/stream") as stream:
        later = list(stream)
    for events in (live, later):
        assert not any(HUSH in event.text for event in events)
        assert events[-1].data["input"] == {"token": STARS}


@pytest.mark.parametrize(
    "bad",
    [
        {"token": 5},
        {"token": [HUSH]},
        {"token": {"x": HUSH}},
        {"token": None, "other": HUSH},
        {"other": HUSH},
    ],
    ids=json.dumps,
)
def test_a_refusal_does_not_show_the_secret(server, bad):
    answer = server.predict(bad)
    assert answer.status == 422
    assert answer.json["detail"][0]["loc"] == ["body", "input", "token"]
    assert HUSH.encode() not in answer.body


def test_the_request_file_is_private_and_removed_with_the_prediction(server):
    server.predict({"token": HUSH, "end": "hang"}, {"Prefer": "respond-async"}, id="private")
    request = server.spool() / "request-private.json"
    until("it runs", lambda: server.get("/predictions/private").json["output"])
    assert HUSH in request.read_text(), "the runner reads it there"
    assert stat.S_IMODE(request.stat().st_mode) == 0o600
    assert stat.S_IMODE(request.parent.stat().st_mode) == 0o700
    server.ask("POST", "/predictions/private/cancel")
    server.ended("private")
    assert not request.exists()


def test_no_secret_is_on_disk_after_predictions_have_ended(server):
    for end in ("", "raise", "die"):
        for prefer in ("", "respond-async"):
            server.wait_status("READY")
            server.predict(
                {"token": HUSH, "end": end}, {"Prefer": prefer}, id=f"ended-{end}-{prefer}"
            )
            server.ended(f"ended-{end}-{prefer}")
    server.wait_status("READY")
    for file in server.spool().rglob("*"):
        assert not file.is_file() or HUSH.encode() not in file.read_bytes(), file


def test_tokens_of_the_server_are_not_in_the_environment_of_the_model(start, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text("auth-secret\n")
    source = "import os\nclass Predictor:\n    def predict(self) -> str:\n        return repr(sorted(os.environ.items()))\n"
    secrets = {
        "WEBHOOK_AUTH_TOKEN": "webhook-secret",
        "COGGO_AUTH_TOKEN": "auth-secret",
        "COGGO_WEBHOOK_SECRET": "whsec_c2lnbmluZy1zZWNyZXQ=",
    }
    server = start(source, ready=False, env={**secrets, "MODEL_TOKEN": "for the model"})
    until("it is ready", lambda: server.health()["status"] == "READY")
    answer = server.predict({}, {"Authorization": "Bearer auth-secret"})
    assert "for the model" in answer.json["output"]
    for name, value in secrets.items():
        assert name not in answer.json["output"] and value not in answer.json["output"]
