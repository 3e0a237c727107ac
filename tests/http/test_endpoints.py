"""The endpoints, by method and path: docs/http-api.md#endpoints."""

from __future__ import annotations

import pytest

HELLO = "class Predictor:\n    def predict(self, name: str = 'you') -> str:\n        return 'hello ' + name\n"


@pytest.fixture(scope="module")
def server(start_once):
    return start_once(HELLO)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "application/json"),
        ("/health-check", "application/json"),
        ("/openapi.json", "application/json"),
        ("/docs", "text/html; charset=utf-8"),
        ("/livez", "application/json"),
        ("/readyz", "application/json"),
        ("/predictions", "application/json"),
        ("/metrics", "text/plain"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_get_and_head_of_each_path(server, method, path, kind):
    answer = server.ask(method, path)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(kind)
    assert (answer.body == b"") == (method == "HEAD")


def test_the_discovery_document_names_every_path(server):
    found = server.get("/").json
    assert found["predictions_url"] == "/predictions"
    assert found["predictions_idempotent_url"] == "/predictions/{prediction_id}"
    assert found["predictions_cancel_url"] == "/predictions/{prediction_id}/cancel"
    for name in ("docs_url", "openapi_url", "healthcheck_url"):
        assert server.get(found[name]).status == 200
    assert {"cog_version", "shutdown_url"} <= set(found)
    assert not any(name.startswith("trainings") for name in found)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/predictions/", 404),
        ("GET", "/health-check/", 404),
        ("POST", "/predictions/", 404),
        ("POST", "//predictions", 404),
        ("POST", "/./predictions", 404),
        ("POST", "/x/../predictions", 404),
        ("PUT", "/predictions/", 404),
        ("PUT", "/predictions//x", 404),
        ("PUT", "/predictions/x/", 404),
        ("PUT", "/predictions/a/b", 404),
        ("POST", "/predictions//cancel", 404),
        ("POST", "/Predictions", 404),
        ("OPTIONS", "/predictions", 405),
        ("POST", "/predictions/unknown/cancel", 404),
        ("GET", "/predictions/unknown", 404),
        ("POST", "/trainings", 404),
        ("PUT", "/trainings/x", 404),
        ("POST", "/trainings/x/cancel", 404),
        ("GET", "/shutdown", 405),
        ("DELETE", "/predictions", 405),
        ("PUT", "/predictions", 405),
        ("POST", "/health-check", 405),
        ("PATCH", "/", 405),
    ],
)
def test_unknown_paths_and_methods_are_refused(server, method, path, status):
    answer = server.ask(method, path)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/json"
    assert isinstance(answer.json, dict)


def test_cancel_of_an_unknown_id_has_an_empty_object(server):
    assert server.ask("POST", "/predictions/unknown/cancel").json == {}


def test_the_schema_is_served_while_setup_runs(start):
    server = start(
        "import time\nclass Predictor:\n    def setup(self): time.sleep(1)\n    def predict(self) -> str: ...\n",
        ready=False,
    )
    from waiting import until

    until("the schema is there", lambda: server.get("/openapi.json").status == 200)
    assert server.health()["status"] == "STARTING"
    assert "Input" in server.get("/openapi.json").json["components"]["schemas"]


def test_a_model_that_does_not_load_has_no_schema(start):
    server = start("import nothing_like_it", ready=False)
    server.wait_status("SETUP_FAILED")
    assert server.get("/openapi.json").status == 503


def test_shutdown_works_in_every_state(start):
    for source in (
        "import time\nclass Predictor:\n    def setup(self): time.sleep(60)\n    def predict(self) -> str: ...\n",
        "1/0",
    ):
        server = start(source, ready=False)
        assert server.ask("POST", "/shutdown").body == b"{}"
        assert server.process.wait(20) == 0


def test_a_server_without_a_queue_says_so(server):
    answer = server.get("/queue")
    assert answer.status == 404
    assert answer.json["detail"] == "this server shares no queue with others, see --queue"
