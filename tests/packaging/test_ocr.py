"""The model of examples/ocr with its real weights, in a separate environment as in the README."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess

import pytest
from packages import ROOT

#: The first test may have to download the wheels.
pytestmark = pytest.mark.timeout(600)

DIRECTORY = ROOT / "examples/ocr"
README = (ROOT / "README.md").read_text()
COMMANDS, PRINTED = re.search(
    r"```sh\n(python3 -m venv \.venv-ocr.*?)```\n.*?```json\n(.*?)```", README, re.DOTALL
).groups()
INSTALL, PREDICT, *_ = COMMANDS.splitlines()


@pytest.fixture(scope="module")
def python():
    """The interpreter of the environment, which is kept for the next run."""
    environment = ROOT / ".venv-ocr"
    try_it = [environment / "bin/python", "-c", "import rapidocr_onnxruntime"]
    if (
        not environment.exists()
        or subprocess.run(try_it, capture_output=True, timeout=300).returncode
    ):
        done = subprocess.run(
            ["sh", "-c", INSTALL], cwd=ROOT, capture_output=True, text=True, timeout=500
        )
        if done.returncode:
            shutil.rmtree(environment, ignore_errors=True)
            pytest.skip(
                f"the wheels of examples/ocr cannot be had: {done.stderr.strip().splitlines()[-1]}"
            )
    return environment / "bin/python"


def test_the_command_prints_what_the_readme_says(python):
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        ["sh", "-c", PREDICT], cwd=ROOT, env=env, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    printed, said = json.loads(done.stdout), json.loads(PRINTED)
    assert printed["text"] == said["text"]
    for line, shown in zip(printed["lines"], said["lines"]):
        assert line["text"] == shown["text"]
        assert line["score"] == pytest.approx(shown["score"], abs=0.02)
        assert line["box"] == pytest.approx(shown["box"], abs=2)


def test_the_server_returns_text_and_boxes(python, start, tmp_path):
    shutil.copytree(DIRECTORY, tmp_path / "ocr")
    server = start(python=str(python), model_dir=tmp_path / "ocr", ready=False)
    server.wait_status("READY", 120)
    sent = (
        "data:image/png;base64," + base64.b64encode((DIRECTORY / "sign.png").read_bytes()).decode()
    )

    def read(image, **more):
        answer = server.ask(
            "POST", "/predictions", {"input": {"image": image, **more}}, timeout=300
        )
        return answer.status, answer.json.get("status"), answer.json.get("output")

    status, ended, output = read(sent)
    assert (status, ended, output["text"]) == (200, "succeeded", json.loads(PRINTED)["text"])
    assert all(0 <= edge <= 360 for line in output["lines"] for edge in line["box"])
    assert read(sent, min_score=1) == (200, "succeeded", {"text": "", "lines": []})
    assert read("data:image/png;base64,AAAA")[1] == "failed"
    assert read(sent, min_score=2)[0] == 422
    (server.temporary / ".ses").unlink(missing_ok=True)  # onnxruntime leaves these files there
