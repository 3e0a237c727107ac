"""How a runner starts and ends."""

from __future__ import annotations

import json
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from runner.conftest import Start
from runner.harness import LOOK, MODELS, READY, command, environment, make_spool
from waiting import alive, until

FORMS = [
    "function",
    "async_function",
    "Plain",
    "WithSetup",
    "Async",
    "AsyncSetup",
    "AsyncSetupOnly",
]


@pytest.mark.parametrize("name", FORMS)
def test_every_form_of_a_model_is_loaded_and_answers(runner: Start, name: str) -> None:
    r = runner(f"boot.py:{name}")
    response = r.predict({"name": "you"})
    assert (response["status"], response["output"]) == ("succeeded", "hello you"), response
    assert r.stop() == 0


def test_setup_result_describes_the_model(runner: Start) -> None:
    result = runner("boot.py:async_function", "--max-concurrency", "3").get("setup-result.json")
    assert result.pop("started_at") < result.pop("completed_at")
    assert result.pop("python").startswith("3.")
    assert result.pop("cog")
    assert result == {
        "protocol": 1,
        "status": "succeeded",
        "stage": None,
        "failure": None,
        "error": None,
        "traceback": None,
        "warnings": [],
        "mode": "async",
        "max_concurrency": 3,
        "batch": None,
        "healthcheck": False,
        "train": False,
    }


def test_schema_is_written_before_setup_ends(runner: Start) -> None:
    r = runner("boot.py:SlowSetup", ready=False)
    assert (
        r.wait_for("openapi.json")["components"]["schemas"]["Input"]["properties"]["name"][
            "default"
        ]
        == "world"
    )
    assert r.get("setup-result.json") is None
    assert r.rung == []


def test_both_signals_come_after_setup_result(runner: Start) -> None:
    r = runner("boot.py:WithSetup")
    until("both signals have come", lambda: {LOOK, READY} <= set(r.rung))
    until("the text", lambda: "loading weights\n" in r.stdout.text)


FAILURES = [
    ("boot.py:Raises", "raised", "weights missing", "in setup"),
    ("boot.py:RaisesAsync", "raised", "weights missing", "in setup"),
    ("boot.py:Exits", "raised", "the model called sys.exit(3)", "in setup"),
    ("boot.py:ExitsAsync", "raised", "the model called sys.exit(3)", "in setup"),
    ("boot.py:Interrupts", "raised", "KeyboardInterrupt", "in setup"),
    ("boot.py:InitRaises", "raised", "no GPU", "in __init__"),
    ("boot.py:NotAnnotated", "refused", "name", "annotation"),
    ("boot.py:NoPredict", "refused", "predict", "predict"),
    ("boot.py:Missing", "refused", "Missing", "boot.py"),
    ("missing.py:Predictor", "refused", "missing.py", "missing.py"),
    ("boot.py", "refused", "boot.py", ""),
    (
        "bad_import.py:predict",
        "raised",
        "No module named 'weights_of_somebody_else'",
        "bad_import.py",
    ),
    ("exits_at_import.py:predict", "refused", "calls sys.exit(4)", "exits_at_import.py"),
]


@pytest.mark.parametrize(("ref", "failure", "error", "text"), FAILURES)
def test_failed_start_names_the_cause_and_exits_with_a_status(
    runner: Start, ref: str, failure: str, error: str, text: str
) -> None:
    r = runner(ref, ready=False)
    result = r.wait_for("setup-result.json")
    assert (result["status"], result["failure"]) == ("failed", failure)
    assert error in result["error"]
    assert text in result["traceback"]
    assert r.exit() == 1
    assert LOOK in r.rung
    assert READY not in r.rung


def test_traceback_of_a_failed_setup_shows_the_models_lines_only(runner: Start) -> None:
    result = runner("boot.py:Raises", ready=False).wait_for("setup-result.json")
    assert 'raise ValueError("weights missing")' in result["traceback"]
    assert "file_runner" not in result["traceback"]


def test_syntax_error_is_shown_with_its_line(runner: Start, tmp_path: pathlib.Path) -> None:
    (tmp_path / "broken.py").write_text("def predict() -> str:\n    return (\n")
    result = runner("broken.py:predict", ready=False, cwd=tmp_path).wait_for("setup-result.json")
    assert result["status"] == "failed"
    assert "broken.py" in result["traceback"]
    assert "SyntaxError" in result["traceback"]


def test_synchronous_model_with_concurrency_is_refused(runner: Start) -> None:
    result = runner("boot.py:Plain", "--max-concurrency", "2", ready=False).wait_for(
        "setup-result.json"
    )
    assert result["status"] == "failed"
    assert "async def" in result["error"] + result["traceback"]


def test_output_of_a_failed_setup_arrives_on_the_pipes(runner: Start) -> None:
    r = runner("boot.py:Raises", ready=False)
    assert r.exit() == 1
    assert r.stdout.text == "looking for weights\n"


@pytest.mark.parametrize("name", ["Plain", "Async"])
def test_stop_ends_an_idle_runner_with_status_0(runner: Start, name: str) -> None:
    assert runner(f"boot.py:{name}").stop() == 0


@pytest.mark.parametrize("name", ["Plain", "Async"])
def test_requests_that_exist_at_the_start_are_run(runner: Start, name: str) -> None:
    r = runner(f"boot.py:{name}", ready=False)
    r.send("early")
    assert r.response("early")["output"] == "hello world"


@pytest.mark.parametrize("name", ["Plain", "Async"])
def test_request_that_has_a_response_is_not_run_again(runner: Start, name: str) -> None:
    r = runner(f"boot.py:{name}", ready=False)
    r.put("response-done.json", {"marker": 1})
    r.send("done")
    assert r.predict()["status"] == "succeeded"
    assert r.get("response-done.json") == {"marker": 1}


@pytest.mark.parametrize("name", ["Plain", "Async"])
def test_idle_runner_uses_no_cpu(runner: Start, name: str) -> None:
    r = runner(f"boot.py:{name}")
    r.predict()

    def ticks() -> int:
        fields = pathlib.Path(f"/proc/{r.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    until(
        "the end of its work",
        lambda: pathlib.Path(f"/proc/{r.process.pid}/stat").read_text().split()[2] == "S",
    )
    before = ticks()
    time.sleep(2)
    assert ticks() == before


_PARENT = """
import json, signal, subprocess, sys
for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):
    signal.signal(number, lambda *_: None)
command, cwd = json.loads(sys.argv[1])
child = subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.parametrize("name", ["Plain", "Async", "SlowSetup"])
def test_death_of_the_parent_leaves_no_runner(
    python: str, tmp_path: pathlib.Path, name: str
) -> None:
    spool = make_spool(tmp_path / "spool")
    line = json.dumps([command(python, spool, f"boot.py:{name}"), str(MODELS)])
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, line], stdout=subprocess.PIPE, env=environment(), text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        until("the schema", lambda: (spool / "openapi.json").exists())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    until("the end of the runner", lambda: not alive(pid))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--predict", "x.py:y"],
        ["--working-dir"],
        ["--working-dir", "x", "--predict", "y", "--what", "z"],
    ],
)
def test_wrong_command_line_shows_the_usage(python: str, arguments: list[str]) -> None:
    done = subprocess.run(
        [python, "-m", "cog.internal.file_runner", *arguments],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("usage: ")
