"""Section 15, auth: a bearer token, needed everywhere but for health and metrics."""

from __future__ import annotations

import pathlib

import pytest

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
    assert answer.headers["content-type"] == "application/json" and isinstance(answer.json["detail"], str)


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
def test_401_with_another(server, shown):
    assert server.ask("POST", "/predictions", {}, Authorization=shown).status == 401


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_200_with_the_token(server, scheme):
    assert server.ask("POST", "/predictions", {}, Authorization=f"{scheme} {TOKEN}").json["status"] == "succeeded"
    assert server.get("/openapi.json", **bearer(TOKEN)).status == 200


@pytest.mark.parametrize("path", ["/health-check", "/livez", "/readyz", "/metrics"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_probes_and_scrapers_need_none(server, method, path):
    assert server.ask(method, path).status == 200


def test_the_model_never_sees_it(server):
    output = server.ask("POST", "/predictions", {}, **bearer(TOKEN)).json["output"]
    assert "PATH" in output and TOKEN not in output and "COGGO_AUTH_TOKEN" not in output
    assert TOKEN not in server.health()["setup"]["logs"]
    runner = pathlib.Path(f"/proc/{server.runner()}")
    assert TOKEN.encode() not in (runner / "environ").read_bytes() + (runner / "cmdline").read_bytes()


def test_nobody_needs_one_when_none_is_set(start_once):
    server = start_once(MODEL, env={"COGGO_AUTH_TOKEN": ""})
    assert server.predict({}).status == 200
