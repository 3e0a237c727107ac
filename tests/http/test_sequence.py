"""The whole path from startup to webhook, as users and operators see it."""

from __future__ import annotations

import http.client
import json
import os
import pathlib
import signal
import sys
import threading
import time

import pytest

from model_sources import model_source
from servers import start_error
from waiting import alive, until

JSON = {"Content-Type": "application/json"}

HELLO = """
from cog import BasePredictor, Input
class Predictor(BasePredictor):
    def setup(self):
        print("loading")
    def predict(self, name: str = Input(default="world")) -> str:
        print("greeting", name)
        return "hello " + name
"""

MOODY = model_source("http/sequence_moody")


def test_boot_predict_and_webhook(start, receiver):
    server = start(HELLO, ready=False)
    until("it is ready", lambda: server.health()["status"] == "READY")
    setup = server.health()["setup"]
    assert setup["logs"] == "loading\n" and setup["status"] == "succeeded"
    assert setup["started_at"] < setup["completed_at"]
    answer = server.predict({"name": "you"}, id="first", webhook=receiver.url)
    assert answer.status == 200
    assert answer.json["output"] == "hello you"
    assert answer.json["logs"] == "greeting you\n"
    assert answer.json["metrics"]["predict_time"] >= 0
    receiver.wait_terminal()
    assert receiver.statuses()[0] == "processing" and receiver.statuses()[-1] == "succeeded"
    assert receiver.got[-1] == answer.json
    log = server.log()
    assert (
        log.index("listening")
        < log.index("runner started")
        < log.index("model ready")
        < log.index("greeting you")
    )


def test_2000_predictions_on_fresh_connections_leak_nothing(start, tmp_path):
    server = start(HELLO, "--working-dir", str(tmp_path / "spool"))
    statuses = {server.predict({"name": str(i)}).status for i in range(2000)}
    assert statuses == {200}
    left = [p.name for p in (tmp_path / "spool").rglob("*") if p.is_file()]
    assert sorted(left) == ["lock", "openapi.json", "reserve", "setup-result.json"]


def ticks(pid: int) -> int:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def test_idle_costs_no_cpu(start):
    server = start(HELLO)
    server.predict({})
    time.sleep(1)  # the server cleans up after a request
    pids = server.process.pid, server.runner()
    before = [ticks(pid) for pid in pids]
    time.sleep(5)
    after = [ticks(pid) for pid in pids]
    assert sum(after) - sum(before) <= 1, "something polls"


def in_a_row(server, count):
    """The outputs of predictions that one client sends back to back."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    outputs = []
    for i in range(count):
        connection.request("POST", "/predictions", json.dumps({"input": {"name": str(i)}}), JSON)
        outputs.append(json.loads(connection.getresponse().read())["output"])
    connection.close()
    return outputs


@pytest.mark.parametrize(
    "flags", [[], ["--busy-poll", "0"], ["--busy-poll", "2s"]], ids=["default", "off", "long"]
)
def test_consecutive_predictions_have_their_own_outputs(start, flags):
    assert in_a_row(start(HELLO, *flags), 500) == [f"hello {i}" for i in range(500)]


def test_a_runner_that_stays_awake_falls_asleep(start):
    server = start(HELLO, "--busy-poll", "1s", env={"GOMAXPROCS": "2"})
    runner = server.runner()

    def looks():
        in_a_row(server, 3)
        before = ticks(runner)
        time.sleep(0.1)
        return ticks(runner) > before

    until("it polls for the next request", looks)  # on a busy machine these may be too far apart
    time.sleep(1.5)
    before = ticks(runner)
    time.sleep(2)
    assert ticks(runner) - before <= 1, "it polls for ever"


@pytest.mark.parametrize(
    ("processors", "runners", "awake"),
    [("1", "1", False), ("2", "1", True), ("3", "2", False), ("4", "2", True)],
)
def test_busy_poll_is_off_with_fewer_than_two_cpus_per_runner(start, processors, runners, awake):
    server = start(HELLO, "--runners", runners, env={"GOMAXPROCS": processors})
    assert ("--busy-poll" in pathlib.Path(f"/proc/{server.runner()}/cmdline").read_text()) == awake
    assert in_a_row(server, 20) == [f"hello {i}" for i in range(20)]


def test_a_killed_server_leaves_no_runner(start):
    server = start(HELLO)
    runner = server.runner()
    server.kill()
    until("the runner is gone", lambda: not alive(runner), 2)


def test_a_killed_server_leaves_no_runner_that_computes(start):
    server = start(MOODY)
    runner = server.runner()
    server.predict({"mood": "loop"}, {"Prefer": "respond-async"})
    server.kill()
    until("the runner is gone", lambda: not alive(runner), 2)


@pytest.mark.parametrize(
    ("mood", "status", "text"),
    [
        ("long line", "succeeded", None),
        ("raise", "failed", "boom"),
        ("exit", "failed", "3"),
        ("nan", "failed", "NaN"),
        ("die", "failed", "the model process died: signal 9"),
    ],
)
def test_one_answer_and_the_next_prediction_works(start, mood, status, text):
    server = start(MOODY)
    answer = server.predict({"mood": mood})
    assert answer.status == 200
    assert answer.json["status"] == status
    assert text is None or text in answer.json["error"]
    if mood == "long line":
        assert answer.json["logs"] == "x" * 300_000 + "\n"
    if mood == "raise":
        assert "Traceback" in answer.json["logs"]
    server.wait_status("READY")
    assert server.predict({}).json["status"] == "succeeded"


@pytest.mark.parametrize("mood", ["loop", "sleep", "stubborn"])
def test_cancel_and_the_next_prediction_works(start, receiver, mood):
    server = start(MOODY, "--cancel-grace", "300ms")
    asked = server.predict(
        {"mood": mood}, {"Prefer": "respond-async"}, id="it", webhook=receiver.url
    )
    assert asked.status == 202
    assert asked.json["status"] in ("starting", "processing")
    assert server.health()["status"] == "BUSY"
    assert server.predict({}).status == 409
    assert server.ask("POST", "/predictions/it/cancel").status == 200
    assert server.ended("it")["status"] == "canceled"
    assert receiver.wait_terminal()["status"] == "canceled"
    assert server.ask("POST", "/predictions/it/cancel").status == 200
    server.wait_status("READY")
    assert server.predict({}).json["status"] == "succeeded"


def test_async_predictions_run_concurrently_and_separately(start):
    server = start(
        model_source("http/sequence_lasting"),
        "--max-concurrency",
        "8",
    )
    assert server.health()["concurrency"] == {"max": 8, "current": 0}
    for n in range(8):
        assert server.predict({"n": n}, {"Prefer": "respond-async"}, id=f"p{n}").status == 202
    for n in range(8):
        ended = server.ended(f"p{n}")
        assert (ended["status"], ended["output"], ended["logs"]) == ("succeeded", n, f"I am {n}\n")


def test_a_function_is_a_predictor(start):
    server = start(
        "def greet(name: str) -> str:\n    return 'hi ' + name\n", predict="predict.py:greet"
    )
    assert server.predict({"name": "you"}).json["output"] == "hi you"


def test_cog_yaml_names_the_predictor_and_the_concurrency(start, tmp_path):
    (tmp_path / "cog.yaml").write_text(
        'predict: "model.py:Model"  # the class\nconcurrency:\n  max: 3\n'
    )
    (tmp_path / "model.py").write_text(
        "class Model:\n    async def predict(self) -> int:\n        return 1\n"
    )
    server = start(model_dir=tmp_path)
    assert server.health()["concurrency"]["max"] == 3
    assert server.predict({}).json["output"] == 1
    names = {p.name for p in tmp_path.iterdir() if not p.name.startswith("tmp")}
    assert names == {"cog.yaml", "model.py"}, "the model directory was written to"


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("import nothing_like_it\n", "nothing_like_it"),
        (
            "class Predictor:\n    def predict(self, x) -> str:\n        return x\n",
            "x: has no type annotation",
        ),
        ("class Predictor\n", "SyntaxError"),
        (
            "class Predictor:\n    def setup(self): raise RuntimeError('no weights')\n    def predict(self) -> str: ...\n",
            "no weights",
        ),
        (
            "import os\nclass Predictor:\n    def setup(self): os._exit(7)\n    def predict(self) -> str: ...\n",
            "exit status 7",
        ),
    ],
)
def test_a_failed_setup_is_logged_and_served(start, source, text):
    server = start(source, ready=False)
    server.wait_status("SETUP_FAILED")
    health = server.health()
    assert text in health["setup"]["logs"], health["setup"]["logs"]
    assert health["setup"]["status"] == "failed"
    refused = server.predict({})
    assert refused.status == 503 and refused.json["status"] == "failed"


def test_a_port_in_use_is_fatal(start):
    server = start(HELLO)
    assert "address already in use" in start_error("--port", server.port, ".")


def test_a_second_server_on_the_same_directory_is_refused(start, tmp_path):
    start(HELLO, "--working-dir", str(tmp_path))
    assert "in use by another server" in start_error("--working-dir", tmp_path, ".")


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "shutdown"])
def test_shutdown_waits_for_running_predictions_and_sends_their_webhooks(start, receiver, how):
    server = start(
        "import time\nclass Predictor:\n    def predict(self) -> str:\n        time.sleep(0.5)\n        return 'done'\n"
    )
    server.predict({}, {"Prefer": "respond-async"}, webhook=receiver.url)
    if how == "shutdown":
        assert server.ask("POST", "/shutdown").body == b"{}"
    else:
        server.process.send_signal(getattr(signal, how))
    assert server.process.wait(20) == 0
    assert receiver.wait_terminal()["output"] == "done"


def test_shutdown_fails_predictions_that_do_not_end_in_time(start, receiver):
    server = start(
        "import time\nclass Predictor:\n    def predict(self) -> str:\n        time.sleep(60)\n        return 'done'\n",
        "--runner-shutdown-grace-period",
        "0.2",
    )
    server.predict({}, {"Prefer": "respond-async"}, webhook=receiver.url)
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert receiver.wait_terminal()["status"] == "failed"


def test_a_restarted_server_fails_predictions_that_were_in_flight(start, receiver, tmp_path):
    flags = ("--working-dir", str(tmp_path / "spool"))
    source = """
import time
class Predictor:
    def predict(self, s: float = 0) -> str:
        time.sleep(s)
        return "done"
"""
    first = start(source, *flags)
    first.predict(
        {"s": 60},
        {"Prefer": "respond-async"},
        id="lost",
        webhook=receiver.url,
        webhook_events_filter=["completed"],
    )
    first.predict  # noqa: B018
    first.kill()
    second = start(source, *flags)
    ended = second.ended("lost")
    assert ended["status"] == "failed" and "restarted" in ended["error"]
    receiver.wait(1)
    assert receiver.statuses() == ["failed"]


def test_a_restarted_server_delivers_webhooks_of_finished_predictions(start, receiver, tmp_path):
    receiver.answer = lambda n: 503 if n == 1 else 200
    flags = ("--working-dir", str(tmp_path / "spool"))
    first = start(HELLO, *flags)
    first.predict(
        {},
        {"Prefer": "respond-async"},
        id="done",
        webhook=receiver.url,
        webhook_events_filter=["completed"],
    )
    receiver.wait(1)
    first.kill()
    second = start(HELLO, *flags)
    receiver.wait(2)
    assert receiver.statuses()[-1] == "succeeded"
    assert second.get("/predictions/done").json["output"] == "hello world"


def test_a_killed_runner_is_started_again_and_its_prediction_failed_once(start, receiver):
    server = start(MOODY)
    server.predict({"mood": "sleep"}, {"Prefer": "respond-async"}, id="it", webhook=receiver.url)
    os.kill(server.runner(), signal.SIGKILL)
    ended = server.ended("it", 2)
    assert ended["status"] == "failed" and "signal 9" in ended["error"]
    server.wait_status("READY")
    assert server.predict({}).json["status"] == "succeeded"
    assert [s for s in receiver.statuses() if s != "processing"] == ["failed"]


def test_a_runner_that_dies_too_often_is_given_up(start):
    server = start(MOODY, "--max-restarts", "1", expect_exit=1)
    for _ in range(2):
        server.wait_status("READY")
        server.predict({"mood": "die"})
    assert server.process.wait(20) == 1
    assert "died 2 times" in server.log()


def test_signals_of_the_runner_do_no_harm_at_any_moment(start):
    server = start(HELLO, "--max-restarts", "100", ready=False)
    over = threading.Event()

    def flood():
        while not over.is_set():
            for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
                os.kill(server.process.pid, number)

    flooding = threading.Thread(target=flood)
    flooding.start()
    try:
        for _ in range(4):
            server.wait_status("READY")
            runner = server.runner()
            os.kill(runner, signal.SIGKILL)
            until("another one runs", lambda runner=runner: server.runner() != runner)
        server.wait_status("READY")
        assert server.predict({}).json["output"] == "hello world"
    finally:
        over.set()
        flooding.join()


def test_an_explicitly_awaited_shutdown_ignores_sigterm(start):
    server = start(HELLO, "--await-explicit-shutdown", "true")
    server.process.send_signal(signal.SIGTERM)
    assert server.predict({}).status == 200
    server.ask("POST", "/shutdown")
    assert server.process.wait(20) == 0


def test_help_and_version_are_readable_text(start):
    import subprocess

    binary = start(HELLO).process.args[0]
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, timeout=20)
    assert version.stdout.startswith("coggo-server 0.") and version.returncode == 0
    shown = subprocess.run([binary, "--help"], capture_output=True, text=True, timeout=20)
    for flag in (
        "--host",
        "--port",
        "--working-dir",
        "--predict",
        "--max-concurrency",
        "--await-explicit-shutdown",
        "--log-level",
        "--python",
    ):
        assert flag in shown.stdout
    assert sys.version_info >= (3, 9)
