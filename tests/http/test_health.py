"""Health: docs/http-api.md#health."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from model_sources import model_source
from waiting import alive, until

HEALTHY = """
import os, time
class Predictor:
    def setup(self):
        print("to stdout")
        os.write(2, b"to stderr, \\xff\\n")
    def predict(self, s: float = 0) -> str:
        time.sleep(s)
        return "done"
"""


def test_health_has_these_members(start):
    health = start(HEALTHY).health()
    assert health["status"] == "READY"
    assert health["setup"]["status"] == "succeeded"
    assert health["setup"]["started_at"] < health["setup"]["completed_at"]
    assert sorted(health["setup"]["logs"].splitlines()) == ["to stderr, \ufffd", "to stdout"]
    assert health["concurrency"] == {"max": 1, "current": 0}
    assert {"coggo", "cog", "coglet", "python", "python_sdk"} <= set(health["version"])
    assert health["version"]["python_sdk"] == health["version"]["cog"]
    assert "user_healthcheck_error" not in health


def test_the_status_is_starting_then_ready_then_busy(start):
    server = start(HEALTHY.replace('print("to stdout")', "time.sleep(1)"), ready=False)
    assert server.health()["status"] == "STARTING"
    assert server.health()["setup"]["status"] == "starting"
    assert server.health()["setup"]["completed_at"] is None
    server.wait_status("READY")
    server.predict({"s": 1}, {"Prefer": "respond-async"})
    health = server.health()
    assert health["status"] == "BUSY" and health["concurrency"] == {"max": 1, "current": 1}
    server.wait_status("READY")


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (
            "class Predictor:\n    def setup(self):\n        print('so far')\n        raise RuntimeError('no')\n    def predict(self) -> str: ...",
            "so far",
        ),
        (
            "import sys\nclass Predictor:\n    def setup(self): sys.exit(3)\n    def predict(self) -> str: ...",
            "SystemExit",
        ),
        (
            "import os\nclass Predictor:\n    def setup(self): os._exit(3)\n    def predict(self) -> str: ...",
            "exit status 3",
        ),
        ("import nope", "No module named 'nope'"),
        ("def (", "SyntaxError"),
        ("x = 1", "Predictor"),
        ("import os\nos.kill(os.getpid(), 11)", "signal 11"),
    ],
)
def test_a_failed_setup_is_reported_with_its_logs(start, source, text):
    server = start(source, ready=False)
    server.wait_status("SETUP_FAILED")
    health = server.health()
    assert health["setup"]["status"] == "failed"
    assert text in health["setup"]["logs"]
    assert health["setup"]["completed_at"]


def test_a_synchronous_model_with_concurrency_fails_its_setup(start):
    server = start(HEALTHY, "--max-concurrency", "2", ready=False)
    server.wait_status("SETUP_FAILED")
    assert "async def" in server.health()["setup"]["logs"]


def test_a_setup_that_takes_too_long_is_ended_and_killed(start):
    server = start(
        "import os, time\nclass Predictor:\n    def setup(self):\n        print(os.getpid(), flush=True)\n        time.sleep(60)\n    def predict(self) -> str: ...",
        "--setup-timeout",
        "4",
        ready=False,
    )
    server.wait_status("SETUP_FAILED")
    logs = server.health()["setup"]["logs"]
    assert "timed out" in logs
    until("the process is gone", lambda: not alive(int(logs.split()[0])), 5)


@pytest.mark.parametrize("value", ["", "0", "-1", "nonsense"])
def test_an_empty_setup_timeout_means_no_limit(start, value):
    server = start(HEALTHY, env={"COG_SETUP_TIMEOUT": value})
    assert server.health()["status"] == "READY"


def test_the_setup_timeout_of_the_environment(start):
    server = start(
        "import time\nclass Predictor:\n    def setup(self): time.sleep(60)\n    def predict(self) -> str: ...",
        ready=False,
        env={"COG_SETUP_TIMEOUT": "0.5"},
    )
    server.wait_status("SETUP_FAILED")


@pytest.mark.parametrize("model", ["health_checked", "health_checked_async"])
def test_the_models_own_healthcheck(start, tmp_path, model):
    how = tmp_path / "how"
    how.write_text("well")
    server = start(model_source(f"http/{model}"), env={"HOW": str(how)})
    for state, text in (
        ("ill", "returned False"),
        ("raise", "GPU lost"),
        ("hang", "timed out after 5.0 seconds"),
    ):
        how.write_text(state)
        health = server.health()
        assert health["status"] == "UNHEALTHY" and text in health["user_healthcheck_error"], health
        assert server.predict({}).json["status"] == "succeeded", "predictions are still accepted"
    how.write_text("well")
    until("it is healthy again", lambda: server.health()["status"] == "READY")
    server.predict({"s": 1}, {"Prefer": "respond-async"})
    assert server.health()["status"] == "BUSY"
    how.write_text("ill")
    assert server.health()["status"] == "UNHEALTHY", "UNHEALTHY takes precedence over BUSY"


@pytest.mark.timed
def test_a_running_healthcheck_ends_with_its_runner(start, tmp_path):
    how = tmp_path / "how"
    how.write_text("hang")
    server = start(model_source("http/health_checked"), env={"HOW": str(how)}, ready=False)
    until("the model is set up", lambda: "model ready" in server.log())
    answers = []
    asker = threading.Thread(target=lambda: answers.append(server.health()))
    asker.start()
    until("the healthcheck is called", lambda: list((server.spool() / "health").glob("request*")))
    before = time.monotonic()
    os.kill(server.runner(), signal.SIGKILL)
    how.write_text("well")
    asker.join()
    assert time.monotonic() - before < 3, (
        "a check may take five seconds, but not in a process that has ended"
    )
    assert answers[0]["status"] == "STARTING" and "user_healthcheck_error" not in answers[0]
    server.wait_status("READY")


@pytest.mark.timed
def test_health_answers_at_once_while_the_model_computes(start):
    server = start("class Predictor:\n    def predict(self) -> str:\n        while True: pass\n")
    server.predict({}, {"Prefer": "respond-async"}, id="it")
    before = time.monotonic()
    for _ in range(20):
        assert server.health()["status"] == "BUSY"
    assert time.monotonic() - before < 5
    server.ask("POST", "/predictions/it/cancel")
    server.ended("it")


def test_only_the_health_path_calls_the_healthcheck(start, tmp_path):
    asked = tmp_path / "asked"
    server = start(
        "import pathlib\nclass Predictor:\n"
        f"    def healthcheck(self):\n        pathlib.Path({str(asked)!r}).open('a').write('.')\n        return True\n"
        "    def predict(self) -> str:\n        return 'done'\n"
    )
    before = len(asked.read_text())
    for path in (
        "/v1/models/acme/thing",
        "/v1/models/acme/thing/versions",
        "/v1/predictions",
        "/predictions",
        "/openapi.json",
        "/",
    ):
        assert server.get(path).status == 200
    assert server.predict({}).json["output"] == "done"
    assert len(asked.read_text()) == before
    server.health()
    assert len(asked.read_text()) > before
