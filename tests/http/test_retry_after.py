"""A refusal has `Retry-After` if and only if a later attempt can succeed without any other
change.
"""

from __future__ import annotations

import os
import signal
import threading

import pytest

from model_sources import model_source
from waiting import until

MODEL = model_source("http/retry_after")
#: Flags of servers that are stopped while a prediction runs.
SHORT_GRACE = ("--runner-shutdown-grace-period", "100ms")
ASYNC = {"Prefer": "respond-async"}
EVENTS = {"Accept": "text/event-stream"}

#: All requests that start a run.
RUNS = {
    "POST": ("POST", "/predictions", {}),
    "wait": ("POST", "/predictions", {"Prefer": "wait=5"}),
    "async": ("POST", "/predictions", ASYNC),
    "stream": ("POST", "/predictions", EVENTS),
    "PUT": ("PUT", "/predictions/other", {}),
    "training": ("POST", "/trainings", {}),
    "v1": ("POST", "/v1/predictions", {}),
    "v1 of a model": ("POST", "/v1/models/a/b/predictions", {}),
}

#: Other paths that answer 503 until there is a model.
LOOKS = {name: ("GET", path, {}) for name, path in {
    "readiness": "/readyz", "document": "/openapi.json", "v1 model": "/v1/models/a/b", "v1 versions": "/v1/models/a/b/versions",
}.items()}  # fmt: skip


def ask(server, kind):
    method, path, headers = {**RUNS, **LOOKS}[kind]
    return server.ask(method, path, {"input": {}} if method != "GET" else None, **headers)


def retry(answer, status):
    assert answer.status == status, answer.body
    return answer.headers.get("retry-after")


@pytest.fixture(scope="module")
def taken(start_once):
    server = start_once(MODEL, "--max-queue", "0", *SHORT_GRACE)
    server.predict({"s": 600}, ASYNC, id="taken")
    until("the slot is taken", lambda: server.health()["status"] == "BUSY")
    return server


@pytest.mark.parametrize("kind", RUNS)
def test_a_taken_slot_has_a_retry_after_of_one_second(taken, kind):
    assert retry(ask(taken, kind), 409) == "1"


def test_an_id_that_runs_has_no_retry_after(taken):
    """The prediction exists already: a later POST would run it once more."""
    assert retry(taken.predict({}, id="taken"), 409) is None
    assert retry(taken.ask("PUT", "/trainings/taken", {"input": {}}), 409) is None


def test_a_full_queue_has_a_retry_after_of_one_second(start):
    server = start(MODEL, "--max-queue", "1", *SHORT_GRACE)
    for id in ("first", "second"):
        server.predict({"s": 600}, ASYNC, id=id)
    assert retry(ask(server, "POST"), 429) == retry(ask(server, "v1"), 429) == "1"


@pytest.fixture(scope="module")
def in_setup(start_once, tmp_path_factory):
    directory = tmp_path_factory.mktemp("held")
    (directory / "predict.py").write_text(MODEL)
    (directory / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    (directory / "hold").touch()
    server = start_once(model_dir=directory, ready=False)
    until("there is a schema", lambda: server.get("/openapi.json").status == 200)
    return server


@pytest.mark.parametrize("kind", [*RUNS, "readiness"])
def test_during_setup_retry_after_is_as_long_as_setup_has_taken(in_setup, kind):
    assert int(retry(ask(in_setup, kind), 503)) >= 1
    until("it grows", lambda: int(retry(ask(in_setup, kind), 503)) > 1)


@pytest.fixture(scope="module")
def failed(start_once):
    server = start_once("1/0", ready=False)
    server.wait_status("SETUP_FAILED")
    return server


@pytest.mark.parametrize("kind", [*RUNS, *LOOKS])
def test_a_failed_setup_has_no_retry_after(failed, kind):
    assert retry(ask(failed, kind), 503) is None


def test_the_document_of_a_model_that_is_loading_has_a_retry_after(start, tmp_path):
    wait = {"COG_WAIT_FILE": str(tmp_path / "go")}
    server = start(MODEL, ready=False, env=wait)
    for kind in (*RUNS, *LOOKS):
        assert retry(ask(server, kind), 503) == "1", kind
    (tmp_path / "go").touch()
    server.wait_status("READY")


def test_a_runner_that_restarts_has_a_retry_after(start):
    server = start(MODEL)
    (server.temporary.parent / "hold").touch()
    os.kill(server.runner(), signal.SIGKILL)
    answer = until("it is refused", lambda: (found := ask(server, "POST")).status == 503 and found)
    assert int(retry(answer, 503)) >= 1
    (server.temporary.parent / "hold").unlink()
    server.wait_status("READY")


def test_a_runner_that_is_given_up_has_no_retry_after(start):
    server = start(MODEL, "--max-restarts", "0", "--await-explicit-shutdown")
    os.kill(server.runner(), signal.SIGKILL)
    server.wait_status("DEFUNCT")
    assert retry(ask(server, "POST"), 503) is retry(ask(server, "readiness"), 503) is None


def test_an_unhealthy_model_has_a_retry_after(start):
    server = start(MODEL)
    (server.temporary.parent / "sick").touch()
    server.wait_status("UNHEALTHY")
    assert retry(ask(server, "readiness"), 503) == "1"


def test_a_server_that_ends_has_a_retry_after(start):
    server = start(MODEL)
    working = threading.Thread(target=lambda: server.predict({"s": 2}, id="last"))
    working.start()
    until("it runs", lambda: server.health()["status"] == "BUSY")
    server.process.send_signal(signal.SIGTERM)
    until("it refuses", lambda: ask(server, "POST").status == 503)
    for kind in (*RUNS, "readiness"):
        assert retry(ask(server, kind), 503) == "1", kind
    working.join()
    assert server.process.wait(20) == 0


def test_only_refusals_have_retry_after(taken):
    for path in ("/health-check", "/livez", "/predictions/taken"):
        assert "retry-after" not in taken.get(path).headers
