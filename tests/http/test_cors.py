"""CORS is off, or on for the origins of --cors-origin: docs/http-api.md#pages-of-other-sites."""

from __future__ import annotations

import pytest

MODEL = "class Predictor:\n    def predict(self) -> str:\n        return 'hello'\n"
APP, OTHER = "https://app.example.com", "http://localhost:3000"


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(
        MODEL,
        "--cors-origin",
        APP,
        "--cors-origin",
        OTHER,
        env={"COGGO_AUTH_TOKEN": "token"},
        ready=False,
    )


@pytest.fixture(scope="module")
def closed(start_once):
    return start_once(MODEL)


def cors(answer):
    return {name for name in answer.headers if name.startswith("access-control-")}


def preflight(server, origin, method="POST", path="/predictions"):
    return server.ask(
        "OPTIONS",
        path,
        Origin=origin,
        Access_Control_Request_Method=method,
        Access_Control_Request_Headers="authorization, content-type, prefer",
    )


@pytest.mark.parametrize("origin", [APP, OTHER])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/predictions"),
        ("PUT", "/predictions/x"),
        ("GET", "/health-check"),
        ("DELETE", "/v1/files/abcdefgh"),
    ],
)
def test_a_page_of_the_origin_may_send_a_preflight(server, origin, method, path):
    answer = preflight(server, origin, method, path)
    assert answer.status == 204 and answer.body == b"", "browsers send preflights without the token"
    assert answer.headers["access-control-allow-origin"] == origin
    assert method in answer.headers["access-control-allow-methods"].split(", ")
    allowed = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "content-type", "prefer", "cancel-after", "last-event-id"} <= set(
        allowed
    )
    assert "origin" in answer.headers["vary"].lower()


def test_a_page_of_the_origin_can_read_answers_and_refusals(server):
    answer = server.get("/health-check", Origin=APP)
    assert answer.status == 200 and answer.headers["access-control-allow-origin"] == APP
    refused = server.ask("POST", "/predictions", {}, Origin=APP)
    assert refused.status == 401 and refused.headers["access-control-allow-origin"] == APP


@pytest.mark.parametrize(
    "origin", ["https://evil.example", APP + ".evil.example", "http://app.example.com", "null"]
)
def test_other_origins_are_not_allowed(server, origin):
    assert cors(preflight(server, origin)) == set()
    answer = server.get("/health-check", Origin=origin)
    assert (
        answer.status == 200
        and cors(answer) == set()
        and "origin" in answer.headers["vary"].lower()
    )


def test_cors_is_off_by_default(closed):
    assert cors(preflight(closed, APP)) == set()
    assert preflight(closed, APP).status == 405
    assert cors(closed.get("/health-check", Origin=APP)) == set()


def test_a_star_allows_every_origin(start_once):
    server = start_once(MODEL, "--cors-origin", "*")
    assert preflight(server, "https://any.example").headers["access-control-allow-origin"] in (
        "*",
        "https://any.example",
    )
    assert server.predict({}, {"Origin": "https://any.example"}).headers[
        "access-control-allow-origin"
    ]


def test_a_plain_options_request_is_not_a_preflight(server):
    assert (
        server.ask("OPTIONS", "/predictions", Origin=APP, Authorization="Bearer token").status
        == 405
    )
