"""The output on a terminal, and logs for programs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import urllib.request

import pytest

from http_terminal import Terminal
from servers import BINARY, real_python
from waiting import until

SLOW = """
import time
from cog import BasePredictor, Input
class Predictor(BasePredictor):
    def setup(self):
        print("loading the weights")
        time.sleep(1)
    def predict(self, prompt: str = Input(description="What to say"), steps: int = Input(default=3, ge=1)) -> str:
        return prompt
"""


@pytest.fixture
def model(tmp_path):
    (tmp_path / "predict.py").write_text(SLOW)
    (tmp_path / "cog.yaml").write_text("predict: predict.py:Predictor\n")
    return tmp_path


def test_a_terminal_shows_a_timer_and_then_how_to_begin(model):
    terminal = Terminal(
        [BINARY, "--host", "127.0.0.1", "--port", "0", "--python", real_python(), model],
        COGGO_AUTH_TOKEN="",
    )
    terminal.wait("curl .*\n")
    assert len(set(re.findall(r"setting up the model (\d+\.\d) s", terminal.shown))) >= 3
    assert "loading the weights\r\n" in terminal.shown
    assert re.search(
        rf"Coggo 0\S+ serves {model.name} \(predict.py:Predictor\) at http://localhost:\d+",
        terminal.shown,
    )
    assert "1 prediction at a time" in terminal.shown
    assert "prompt  string, required  (What to say)" in terminal.shown
    assert "steps   integer = 3, at least 1" in terminal.shown
    curl = re.search(r"curl .*", terminal.shown).group().strip()
    answer = json.loads(
        subprocess.run(["bash", "-c", curl], capture_output=True, timeout=20, check=True).stdout
    )
    assert (answer["status"], answer["output"]) == ("succeeded", "hello")
    terminal.close()


def ask(terminal, count):
    """Begin predictions that run until they are ended."""
    terminal.wait("curl .*\r\n")
    at = re.search(r"(http\S+)/predictions", terminal.shown).group(1)
    for _ in range(count):
        headers = {"Content-Type": "application/json", "Prefer": "respond-async"}
        request = urllib.request.Request(
            f"{at}/predictions", b'{"input": {"prompt": "", "steps": 600}}', headers
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            assert answer.status == 202


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "stopped"), (1, "20s for 1 prediction to end"), (2, "20s for 2 predictions to end")],
)
def test_the_first_ctrl_c_names_running_predictions_and_the_second_ends_them(model, count, said):
    (model / "predict.py").write_text(
        SLOW.replace("return prompt", "time.sleep(steps)").replace("sleep(1)", "sleep(0)")
    )
    words = [
        BINARY,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--max-queue",
        "9",
        "--python",
        real_python(),
        model,
    ]
    terminal = Terminal(words, COGGO_AUTH_TOKEN="")
    ask(terminal, count)
    os.killpg(terminal.process.pid, signal.SIGINT)
    terminal.wait(said)
    assert ("press Ctrl-C again to stop at once\r\n" in terminal.shown) == (count > 0)
    if not count:
        terminal.process.wait(20)  # the server may already be ending when a second one comes
    terminal.close()


def test_a_failed_setup_names_the_next_step(model):
    (model / "predict.py").write_text(SLOW.replace("time.sleep(1)", "raise OSError('no weights')"))
    (model / "cog.yaml").unlink()
    flags = ["--predict", "predict.py:Predictor", "--python", real_python(), model]
    terminal = Terminal([BINARY, "--host", "127.0.0.1", "--port", "0", *flags])
    terminal.wait("as long as this server runs\r\n")
    assert "OSError: no weights" in terminal.shown and "curl" not in terminal.shown
    assert "fix the error above, and start the server again" in terminal.shown
    [check] = re.findall(rf"  ({re.escape(str(BINARY))} check .*)\r\n", terminal.shown)
    checked = subprocess.run(["sh", "-c", check], capture_output=True, text=True, timeout=30)
    assert checked.returncode == 1 and "no weights" in checked.stdout
    at = re.search(r"(http\S+/health-check)", terminal.shown).group(1)
    with urllib.request.urlopen(at, timeout=20) as answer:
        assert "no weights" in json.load(answer)["setup"]["logs"]
    terminal.close()


def test_predict_shows_how_long_it_takes_on_a_terminal(model):
    terminal = Terminal([BINARY, "predict", model, "--python", real_python(), "-i", "prompt=hi"])
    terminal.wait("succeeded in [0-9.]+ s")
    assert "setting up the model 0." in terminal.shown and "hi\r\n" in terminal.shown
    terminal.close()


FORMATS = [
    ({}, r"time=\S+ level=INFO msg=listening address=127.0.0.1:\d+ "),
    ({"LOG_FORMAT": "text"}, r"time=\S+ level=INFO msg=listening address=127.0.0.1:\d+ "),
    ({"LOG_FORMAT": "console"}, r"\d\d:\d\d:\d\d INF listening address=127.0.0.1:\d+ "),
]


def served(model, **env):
    """The log of a server until its model was ready."""
    words = [BINARY, "--host", "127.0.0.1", "--port", "0", "--python", real_python(), model]
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **env}, text=True
    )
    lines = []
    while not lines or "model ready" not in lines[-1]:
        lines.append(process.stderr.readline())
        assert lines[-1], lines
    process.send_signal(signal.SIGINT)
    stdout, rest = process.communicate(timeout=30)
    assert process.returncode == 0
    said = json.loads(stdout)["msg"] + "\n" if env.get("LOG_FORMAT") == "json" else stdout
    assert said == "loading the weights\n"
    return lines + rest.splitlines()


@pytest.mark.parametrize(
    ("env", "pattern"),
    FORMATS,
    ids=lambda v: v.get("LOG_FORMAT", "default") if isinstance(v, dict) else "",
)
def test_the_logs_have_the_requested_format(model, env, pattern):
    assert any(re.match(pattern, line) for line in served(model, **env))


def test_json_logs_are_json_on_every_line(model):
    lines = [json.loads(line) for line in served(model, LOG_FORMAT="json")]
    assert {"listening", "runner started", "model ready", "stopped"} <= {
        line["msg"] for line in lines
    }


def test_a_line_about_a_prediction_has_its_id(start):
    model = "import time\ndef predict(stay: bool = False) -> str:\n    while stay:\n        try:\n            print('inside', flush=True)\n            time.sleep(60)\n        except BaseException:\n            pass\n    return ''\n"
    server = start(
        model, "--log-level", "debug", "--cancel-grace", "0.2", predict="predict.py:predict"
    )
    server.predict({}, id="quick one")
    server.predict({"stay": True}, {"Prefer": "respond-async"}, id="stuck-one")
    until("it cannot be canceled any more", lambda: "inside\n" in server.log())
    server.ask("POST", "/predictions/stuck-one/cancel")
    assert server.ended("stuck-one")["status"] == "canceled"
    about = [line for line in server.log().splitlines() if 'msg="prediction' in line]
    assert any(
        'msg="prediction ended" id="quick one" status=succeeded' in line for line in about
    ), about
    assert any('msg="prediction ignored its cancel" id=stuck-one' in line for line in about), about
    assert all(" id=" in line for line in about)
    server.wait_status("READY")


def test_a_reloaded_model_gets_a_new_banner(model):
    words = [
        BINARY,
        "--reload",
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--python",
        real_python(),
        model,
    ]
    terminal = Terminal(words, COGGO_AUTH_TOKEN="")
    terminal.wait("curl .*\n")
    (model / "predict.py").write_text("def (:\n")
    terminal.wait("the next change of its files reloads the model")
    (model / "predict.py").write_text(
        SLOW.replace("prompt: str", "haiku: str").replace("return prompt", "return haiku")
    )
    terminal.wait("haiku +string, required")
    terminal.close()
    assert terminal.shown.count("curl ") == 2, terminal.shown


HOSTILE = r"a \x1b[2J\n" + "\x1b[2J\x1b]0;title\x07 the rest"

RAISES = """
class Predictor:
    def predict(self) -> str:
        raise ValueError(open("error").read())
"""


@pytest.mark.parametrize("colors", [{}, {"NO_COLOR": "1"}], ids=["colors", "plain"])
def test_logged_text_cannot_control_a_terminal(tmp_path, colors):
    """Clients choose ids, headers and inputs that an error quotes."""
    (tmp_path / "predict.py").write_text(RAISES)
    (tmp_path / "error").write_text(HOSTILE)
    words = [
        BINARY,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--access-log",
        "--predict",
        "predict.py:Predictor",
    ]
    words += ["--python", real_python(), tmp_path]
    shown = Terminal(words, tmp_path, COGGO_AUTH_TOKEN="", **colors)
    shown.wait("model ready")
    port = re.search(r"127\.0\.0\.1:(\d+)", shown.shown).group(1)
    headers = {"Content-Type": "application/json", "X-Forwarded-For": "\x9b2J and more"}
    body = json.dumps({"id": HOSTILE, "input": {}}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/predictions", body, headers)
    assert json.load(urllib.request.urlopen(request, timeout=20))["error"] == HOSTILE
    escaped = re.escape(json.dumps(HOSTILE).replace("u001b", "x1b").replace("u0007", "a"))
    faint = r"(\x1b\[[0-9]*m)*"
    shown.wait(rf"prediction failed {faint}id={faint}{escaped}.* {faint}error={faint}{escaped}")
    shown.wait(rf'access .*forwarded_for={faint}"\\x9b2J and more" {faint}id={faint}{escaped}')
    lines = [
        line for line in shown.shown.splitlines() if "prediction failed" in line or "access" in line
    ]
    assert len(lines) == 2 and not re.search(r"\x1b(?!\[[0-9]*m)|[\x07\x9b]", "".join(lines))
    shown.close()
