"""The bearer token, which every path needs except health, metrics and an empty frame:
docs/http-api.md#authorization.
"""

from __future__ import annotations

import pathlib

import pytest

from http_events import Stream
from model_sources import model_source
from servers import start_error
from waiting import until

TOKEN = "a-token-of-4711"
MODEL = """
import os
class Predictor:
    def setup(self):
        print(sorted(os.environ.items()))
    def predict(self) -> str:
        return repr(sorted(os.environ.items()))
"""


@pytest.fixture(scope="module", params=["environment", "file"])
def server(start_once, request, tmp_path_factory):
    if request.param == "environment":
        made = start_once(MODEL, env={"COGGO_AUTH_TOKEN": TOKEN}, ready=False)
    else:
        file = tmp_path_factory.mktemp("auth") / "token"
        file.write_text(TOKEN + "\n")
        made = start_once(MODEL, "--auth-token-file", str(file), ready=False)
    made.wait_status("READY")
    yield made
    assert TOKEN not in made.log()


def bearer(token):
    return {"Authorization": f"Bearer {token}"}


NEEDED = [
    ("GET", "/"),
    ("GET", "/docs"),
    ("GET", "/openapi.json"),
    ("GET", "/predictions"),
    ("GET", "/predictions/x"),
    ("GET", "/predictions/x/stream"),
    ("POST", "/predictions"),
    ("PUT", "/predictions/x"),
    ("POST", "/predictions/x/cancel"),
    ("POST", "/trainings"),
    ("POST", "/shutdown"),
    ("GET", "/v1/predictions"),
    ("POST", "/v1/predictions"),
    ("POST", "/v1/files"),
    ("GET", "/nowhere"),
    ("GET", "/health-check/../predictions"),
    ("GET", "//health-check"),
    ("OPTIONS", "/predictions"),
]


@pytest.mark.parametrize(("method", "path"), NEEDED)
def test_401_without_the_token(server, method, path):
    answer = server.ask(method, path)
    assert answer.status == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/json" and isinstance(
        answer.json["detail"], str
    )


@pytest.mark.parametrize(
    "shown",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Bearer x{TOKEN}",
        f"Bearer {TOKEN.upper()}",
        f"Basic {TOKEN}",
        TOKEN,
        f"Token {TOKEN}",
        f"Bearer {TOKEN}, Bearer {TOKEN}",
    ],
)
def test_401_with_another_token(server, shown):
    assert server.ask("POST", "/predictions", {}, Authorization=shown).status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_200_with_the_token(server, scheme):
    assert (
        server.ask("POST", "/predictions", {}, Authorization=f"{scheme} {TOKEN}").json["status"]
        == "succeeded"
    )
    assert server.get("/openapi.json", **bearer(TOKEN)).status == 200


@pytest.mark.parametrize("path", ["/health-check", "/livez", "/readyz", "/metrics", "/docs/media"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_scrapers_and_frames_need_no_token(server, method, path):
    assert server.ask(method, path).status == 200


def test_the_model_never_sees_the_token(server):
    output = server.ask("POST", "/predictions", {}, **bearer(TOKEN)).json["output"]
    assert "PATH" in output and TOKEN not in output and "COGGO_AUTH_TOKEN" not in output
    logs = server.get("/health-check", **bearer(TOKEN)).json["setup"]["logs"]
    assert "PATH" in logs and TOKEN not in logs
    runner = pathlib.Path(f"/proc/{server.runner()}")
    assert (
        TOKEN.encode() not in (runner / "environ").read_bytes() + (runner / "cmdline").read_bytes()
    )


def test_without_a_configured_token_no_request_needs_one(start_once):
    server = start_once(MODEL, env={"COGGO_AUTH_TOKEN": ""})
    assert server.predict({}).status == 200


HEALTH = model_source("http/auth_health")


@pytest.mark.parametrize("shown", ["", "Bearer wrong", f"Basic {TOKEN}"])
@pytest.mark.parametrize("state", ["READY", "UNHEALTHY", "SETUP_FAILED"])
def test_without_a_token_only_the_state_of_the_model_is_visible(start, tmp_path, state, shown):
    if state == "SETUP_FAILED":
        (tmp_path / "fail").touch()
    server = start(HEALTH, env={"COGGO_AUTH_TOKEN": TOKEN}, ready=False, model_dir=tmp_path)
    until("it is set up", lambda: server.health()["status"] != "STARTING")
    if state == "UNHEALTHY":
        (tmp_path / "ill").touch()
    ready = 200 if state == "READY" else 503
    for _ in range(2):
        health, probe = (
            server.get(path, Authorization=shown) for path in ("/health-check", "/readyz")
        )
        assert (health.status, health.json) == (200, {"status": state})
        assert (probe.status, probe.json) == (ready, {"status": state})
        # The answer without a token must not be cached for clients with one.
        told = server.get("/health-check", **bearer(TOKEN)).json
        assert told["status"] == state and "of the setup" in told["setup"]["logs"]
        assert ("of the traceback" in told["setup"]["logs"]) == (state == "SETUP_FAILED")
        probe = server.get("/readyz", **bearer(TOKEN)).json
        for text in (told.get("user_healthcheck_error", ""), probe.get("detail", "")):
            assert ("of the healthcheck" in text) == (state == "UNHEALTHY")


STREAMS = """
from typing import Iterator
from cog import BasePredictor, streaming
class Predictor(BasePredictor):
    @streaming
    def predict(self, text: str = "") -> Iterator[str]:
        yield text
"""


def test_the_key_of_a_stream_opens_that_stream_and_nothing_else(start):
    server = start(STREAMS, env={"COGGO_AUTH_TOKEN": TOKEN})
    one = server.ask("POST", "/v1/predictions", {}, Prefer="wait", **bearer(TOKEN)).json
    address, _, key = one["urls"]["stream"].partition("?key=")
    path, id = address.partition(f":{server.port}")[2], one["id"]
    assert path == f"/v1/predictions/{id}/stream" and key
    for other in (f"{id}%2Fstream", f"{id}%2fstream", "other"):
        assert server.ask("PUT", f"/predictions/{other}", {}, **bearer(TOKEN)).status == 200
    for opened in (path, path.replace(id, f"%{ord(id[0]):x}{id[1:]}")):
        with Stream(server.port, "GET", f"{opened}?key={key}") as stream:
            assert stream.status == 200 and list(stream)[-1].name == "done"
    for closed in (
        f"/v1/predictions/{id}%2Fstream",
        f"/v1/predictions/{id}%2fstream",
        f"/v1/predictions/{id}%2Fstream/stream",
        f"/v1/predictions%2F{id}/stream",
        f"/v1/predictions/{id}",
        "/v1/predictions/other/stream",
        f"/predictions/{id}/stream",
        f"/v1/predictions/{id}/stream/",
        f"/v1/predictions/{id}/../other/stream",
    ):
        assert server.get(f"{closed}?key={key}").status == 401, closed
    assert server.ask("POST", f"{path}?key={key}").status == 401
    for wrong in ("", "x", key[:-1], key + "0"):
        assert server.get(f"{path}?key={wrong}").status == 401


def test_the_stream_of_an_id_with_a_slash_has_its_own_key(start):
    server = start(STREAMS, env={"COGGO_AUTH_TOKEN": TOKEN})
    for id in ("a%2Fstream", "a%2Fb", "%2e", "%2e%2e", "a%25b", "%C3%A9"):
        assert (
            server.ask("PUT", f"/predictions/{id}", {"input": {"text": id}}, **bearer(TOKEN)).status
            == 200
        )
        address = server.get(f"/v1/predictions/{id}", **bearer(TOKEN)).json["urls"]["stream"]
        with Stream(server.port, "GET", address.partition(f":{server.port}")[2]) as stream:
            assert [event.text for event in stream if event.name == "output"] == [id]


@pytest.mark.parametrize("how", ["environment", "file"])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n\n"])
def test_a_line_break_at_the_end_of_the_token_is_ignored(start, tmp_path, how, end):
    flags, env = (), {"COGGO_AUTH_TOKEN": TOKEN + end}
    if how == "file":
        (tmp_path / "token").write_bytes((TOKEN + end).encode())
        flags, env = ("--auth-token-file", str(tmp_path / "token")), {}
    server = start(MODEL, *flags, env=env)
    assert server.ask("POST", "/predictions", {}).status == 401
    output = server.ask("POST", "/predictions", {}, **bearer(TOKEN)).json["output"]
    assert TOKEN not in output


@pytest.mark.parametrize("name", ["COGGO_AUTH_TOKEN", "WEBHOOK_AUTH_TOKEN", "COGGO_WEBHOOK_SECRET"])
@pytest.mark.parametrize("value", ["\n", " ", "a\nb", "a\x7fb"])
def test_an_unusable_token_is_refused_at_the_start(tmp_path, name, value):
    (tmp_path / "predict.py").write_text(MODEL)
    error = start_error(tmp_path, code=2, env={name: value})
    assert "blank" in error or "line break" in error
    assert value.strip() == "" or value not in error


def test_a_token_file_with_nothing_in_it_is_refused_at_the_start(tmp_path):
    (tmp_path / "predict.py").write_text(MODEL)
    for contents in ("", "\n"):
        (tmp_path / "token").write_text(contents)
        assert "token" in start_error("--auth-token-file", tmp_path / "token", tmp_path, code=2)
